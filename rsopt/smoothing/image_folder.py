"""A folder of images as a data set."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from rsopt.arguments import as_name
from rsopt.errors import InvalidInputError, MissingDependencyError, StorageError, shown
from rsopt.files import FilePath
from rsopt.smoothing.dataset import StreamedDataset, picture

__all__ = ["image_folder"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


def image_folder(folder: FilePath, mode: str = "RGB") -> StreamedDataset:
    """The images in a folder, read one at a time.

    Folders in it are the classes, numbered in the order of their names, with all images at any depth below: the layout
    of torchvision's ImageFolder. Without folders the images have no labels. They are numbered class by class, in the
    order of their names.

    Args:
        folder: the folder.
        mode: "RGB" for three channels, "L" for one; other images are converted, as PIL does it.

    Returns:
        inputs (channels, height, width) from 0 to 1, in the size that they have.

    Raises:
        InvalidInputError: no folder, no images in it or in a class, images beside folders of classes, or another mode.
        MissingDependencyError: PIL is not installed.
        StorageError: a folder cannot be read; where an image is read: it cannot be, or is damaged.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingDependencyError.of("A folder of images", "pillow", "images") from error
    if as_name(mode) not in ("RGB", "L"):
        raise InvalidInputError(f"mode must be 'RGB' or 'L'; found {shown(mode)}.")
    if not isinstance(folder, str | os.PathLike):
        raise InvalidInputError(f"folder must be a path; found {shown(folder)}.")
    place = Path(folder)
    try:
        entries = sorted(entry for entry in place.iterdir() if not entry.name.startswith("."))
        classes = [entry for entry in entries if entry.is_dir()]
        loose = [entry for entry in entries if _is_image(entry)]
        if classes and loose:
            raise InvalidInputError(f"{place} holds images, such as {loose[0].name}, beside folders of classes, such "
                                    f"as {classes[0].name}. Put every image into the folder of its class.")
        found: list[tuple[Path, int | None]] = [(image, None) for image in loose]
        for number, entry in enumerate(classes):
            below = sorted(path for path in entry.rglob("*") if _is_image(path))
            if not below:
                raise InvalidInputError(f"{entry} holds no images, and would be class {number}. Remove it, or put "
                                        "images into it.")
            found += [(image, number) for image in below]
    except OSError as error:
        raise StorageError(f"The folder {place} cannot be read: {error.strerror or error}.") from error
    if not found:
        raise InvalidInputError(f"{place} holds no images ({', '.join(SUFFIXES)}).")

    def read(idx: int) -> tuple[np.ndarray, int | None]:
        path, label = found[idx]
        try:
            with Image.open(path) as image:
                image.load()
                # What is no byte is refused before a conversion cuts it down to one.
                return picture(image if image.mode == mode or image.mode[0] in "IF" else image.convert(mode)), label
        except InvalidInputError as error:
            raise InvalidInputError(f"{path}: {error}") from error
        except (OSError, SyntaxError, ValueError) as error:  # all of which PIL raises for a damaged file
            raise StorageError(f"The image {path} cannot be read: {error}.") from error

    return StreamedDataset(len(found), read, lambda idx: found[idx][1])


def _is_image(path: Path) -> bool:
    return os.path.splitext(path.name)[1].lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
