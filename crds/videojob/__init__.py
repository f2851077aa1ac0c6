"""The vocabulary all parts of videojob share."""
