"""The command line: `symdescent derive "(w - 3)**2"`, and an expression parser that carries nothing out."""
