"""The torch side: smoothed classifiers, the noise sampler, simplex maps, Lipschitz constants."""
