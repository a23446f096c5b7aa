"""What the certified rows of a data set say together, about these inputs and about new ones of their distribution."""
