"""From source text to compiled functions, through a content-addressed cache on disk.

A generated module is a real file, named by the hash of its content, in a directory that only the user can write;
Numba keeps its machine code beside it, so that another process gets both without compiling. What is damaged is
rebuilt; where nothing can be written, modules are compiled in memory.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

CACHE_VARIABLE = "SYMDESCENT_CACHE"


def cache_directory() -> Path | None:
    """The directory of generated modules, made if necessary; None where none can be written safely.

    ``$SYMDESCENT_CACHE``, else ``$XDG_CACHE_HOME/symdescent``, else ``~/.cache/symdescent``.
    """
    chosen, shared = os.environ.get(CACHE_VARIABLE), os.environ.get("XDG_CACHE_HOME")
    try:
        base = Path(chosen).expanduser() if chosen else Path(shared or Path.home() / ".cache") / "symdescent"
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = base.stat()
        owned = not hasattr(os, "getuid") or status.st_uid == os.getuid()
        if not owned or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            warnings.warn(
                f"{base} can be written by others, so that it is not used as a cache: run chmod 700 on it, or set "
                f"{CACHE_VARIABLE} to a private directory",
                stacklevel=3,
            )
            return None
        with tempfile.TemporaryFile(dir=base):
            return base
    except (OSError, RuntimeError):  # nowhere to write, or no home
        return None


_LOADING = threading.RLock()


def load(source: str) -> ModuleType:
    """Return the module with this source: from memory, from the cache, or newly made."""
    name = "symdescent_kernel_" + hashlib.sha256(source.encode()).hexdigest()[:24]
    with _LOADING:  # threads share what one of them loads
        return _load(name, source)


def _load(name: str, source: str) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    directory = cache_directory()
    if directory is None:
        return _run(name, source.replace("cache=True, ", ""), None)
    path = directory / f"{name}.py"
    if not _holds(path, source):
        _write(path, source)
    return _run(name, source, path)


def call(function: Callable[..., Any], *args: Any) -> Any:
    """Call a compiled function; if its cached machine code is damaged, drop it and compile again."""
    try:
        return function(*args)
    except Exception as error:
        if not _is_reading_cache(error):
            raise
    module = sys.modules[function.__module__]
    forget(module)
    return getattr(load(Path(str(module.__file__)).read_text(encoding="utf-8")), function.__name__)(*args)


def forget(module: ModuleType) -> None:
    """Drop a module's machine code from the cache, and the module from memory."""
    path = Path(str(module.__file__))
    for entry in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
        entry.unlink(missing_ok=True)
    sys.modules.pop(module.__name__, None)


def clear_cache() -> None:
    """Delete all generated modules and their machine code."""
    directory = cache_directory()
    if directory is not None:
        shutil.rmtree(directory, ignore_errors=True)


def _is_reading_cache(error: BaseException) -> bool:
    """Whether an error comes from reading Numba's cache, not from the kernel."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.endswith(os.path.join("numba", "core", "caching.py")):
            return True
        trace = trace.tb_next
    return False


def _holds(path: Path, source: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == source
    except (OSError, UnicodeDecodeError):
        return False


def _write(path: Path, source: str) -> None:
    """Write a file so that a reader sees all of it or nothing."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(source)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _run(name: str, source: str, path: Path | None) -> ModuleType:
    """Execute a module; it is registered first, because Numba's cache looks modules up by name."""
    module = ModuleType(name)
    if path is not None:
        module.__file__ = str(path)
    sys.modules[name] = module
    try:
        exec(compile(source, f"<{name}>" if path is None else str(path), "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    if path is not None:
        for function in vars(module).values():
            _load_at_once(function)
    return module


def _load_at_once(function: Any) -> None:
    """Let a kernel be loaded from the cache without starting Numba's compiler, which takes four times as long.

    Machine code needs Numba's runtime; the registries of typing and lowering rules are there to compile. Where
    Numba's insides are not as expected, it loads in its own way.
    """
    try:
        from numba.core.runtime.nrt import rtsys

        cache = function._cache
        read, guard = cache._load_overload, cache._guard_against_spurious_io_errors
    except (ImportError, AttributeError):
        return

    def load_overload(signature: Any, context: Any) -> Any:
        rtsys.initialize(context)
        with guard():
            found = read(signature, context)
        if found is None:
            context.refresh()
        return found

    cache.load_overload = load_overload
