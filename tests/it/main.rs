//! Everything that needs real processes, sockets or files. There is nothing to start yet.
