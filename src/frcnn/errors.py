"""What a person did wrong, or what they gave us that is wrong, in one line they can act on."""


class FrcnnError(Exception):
    """The work failed: the message names the file or key and says what to do. Exit status 1."""


class UsageError(FrcnnError):
    """The request itself makes no sense (arguments, configuration). Exit status 2."""


class ConfigError(UsageError):
    """A configuration key that does not exist, or a value out of its range."""


class DataError(FrcnnError):
    """A data set, an annotation or a picture that cannot be used."""


class ModelFileError(FrcnnError):
    """A file that is no model file of ours, or whose weights do not fit."""


class DiskError(FrcnnError):
    """What was to be kept cannot be written: the disk is full, or refuses."""


class LoadingError(FrcnnError):
    """A process that loads pictures was ended from outside."""


class EndedProcessError(FrcnnError):
    """Another one of the processes that train together has ended."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, or the terminal is gone: another program asks for the end, which comes as by Ctrl-C. Exit status 143."""
