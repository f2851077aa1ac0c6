"""What can go wrong with the local stack. Each text is one sentence for the person at the terminal.

LocalError
├── ToolMissing          a program that is needed is not there
├── BuildFailed          the control plane could not be built
├── PortInUse            somebody else listens on the port
├── FolderInUse          the folder of the stack holds other things
├── StackDown            no stack is up
├── UnknownDefaultModel  the catalogue has no such model
├── ProgramFailed        a program that was run failed
└── PartFailed           a part of the stack ended or did not become ready
"""


class LocalError(Exception):
    """Anything the local stack tells a person."""


class ToolMissing(LocalError):
    """A program that is needed is not there."""


class BuildFailed(LocalError):
    """The control plane could not be built."""


class PortInUse(LocalError):
    """Somebody else listens on the port."""


class FolderInUse(LocalError):
    """The folder of the stack holds other things."""


class StackDown(LocalError):
    """No stack is up."""


class UnknownDefaultModel(LocalError):
    """The catalogue has no such model."""


class ProgramFailed(LocalError):
    """A program that was run failed."""


class PartFailed(LocalError):
    """A part of the stack ended or did not become ready in time."""
