"""The errors that this package raises.

    SaliencyError
    ├── PhotoError          a photo cannot be read, or cannot be cropped as asked
    ├── OutputError         a file or a folder cannot be written
    ├── DecisionsError      a file of decisions is damaged, or does not fit its photos
    ├── ClusterError        a cluster is not there, or its nodes are not alike
    ├── DatasetError        a data set on disk does not follow its layout
    ├── CheckpointError     a model or a training state cannot be loaded
    ├── DeviceError         a device is not there, or a process of a run was lost
    ├── PruningError        a network cannot be pruned as asked
    └── LatencyTableError   a table of measured times is damaged, or is for something else

Messages are for the caller: they name files, fields and what to do, in words that suit a
program as well as a command line. The commands catch `SaliencyError`, print its message on one line
and exit with status 1. A call that is wrong whatever the files contain raises `ValueError` instead.
"""


class SaliencyError(Exception):
    """Something outside the program is wrong; the message names it, and the remedy."""


class PhotoError(SaliencyError):
    """A photo cannot be read, or cannot be cropped as asked."""


class OutputError(SaliencyError):
    """A file or a folder cannot be written; the message names it."""


class DecisionsError(SaliencyError):
    """A file of decisions is damaged, or does not fit its photos."""


class ClusterError(SaliencyError):
    """A cluster is not there, its nodes are not alike, or it was lost."""


class DatasetError(SaliencyError):
    """A data set on disk does not follow its layout."""


class CheckpointError(SaliencyError):
    """A model or a training state cannot be loaded."""


class DeviceError(SaliencyError):
    """A device is not there, or a process of a run was lost."""


class PruningError(SaliencyError):
    """A network cannot be pruned as asked."""


class LatencyTableError(SaliencyError):
    """A table of measured times is damaged, or was measured for something else."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or what kind of error it is."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
