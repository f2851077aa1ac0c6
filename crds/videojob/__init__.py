"""The vocabulary all parts of videojob share.

Values and pure functions only: the VideoJob resource as pydantic models, the model catalogue, names, exit codes.
Nothing here does I/O but `Catalogue.read` and the CRD generator. The operator, the API and the renderer import from
the modules, not from here.
"""

__version__ = "0.1.0"
