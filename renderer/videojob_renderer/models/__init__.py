"""Where the weights of a model come from, and the cache folder they are staged in."""
