"""Callbacks that packages register when they are imported: for the process's end and for forks."""

import atexit
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass
class Registration:
    """A call that registers callbacks. module_name: of the module whose code called."""

    register: Callable[..., Any]  # atexit.register or os.register_at_fork
    arguments: tuple
    options: dict[str, Any]
    module_name: str

    def repeat(self) -> None:
        """Register the callbacks in this process."""
        self.register(*self.arguments, **self.options)


class CallbackRecorder:
    """Has callbacks recorded instead of registered, while packages are preloaded.

    save: called with each registration; returns False to have it done at once. forget: called with
    a function that a package unregisters from atexit.
    """

    def __init__(self, save: Callable[[Registration], bool], forget: Callable[[Any], None]) -> None:
        self.save, self.forget, self.is_active = save, forget, False

    @contextlib.contextmanager
    def record(self) -> Iterator[None]:
        """Record within the context; packages keep the functions, which register later."""
        originals = atexit.register, atexit.unregister, os.register_at_fork
        register, unregister, register_at_fork = originals

        def record_exit(function: Any, /, *arguments: Any, **options: Any) -> Any:
            self._register(register, (function, *arguments), options)
            return function

        def forget_exit(function: Any, /) -> None:
            if self.is_active:
                self.forget(function)
            unregister(function)

        def record_fork(**options: Any) -> None:
            self._register(register_at_fork, (), options)

        atexit.register, atexit.unregister = record_exit, forget_exit
        os.register_at_fork = record_fork
        self.is_active = True
        try:
            yield
        finally:
            self.is_active = False
            atexit.register, atexit.unregister, os.register_at_fork = originals

    def _register(
        self, register: Callable[..., Any], arguments: tuple, options: dict[str, Any]
    ) -> None:
        caller = sys._getframe(2)  # of the function that this class has put into `atexit` or `os`
        module_name = str(caller.f_globals.get("__name__", ""))
        registration = Registration(register, arguments, options, module_name)
        if not (self.is_active and self.save(registration)):
            registration.repeat()


@contextlib.contextmanager
def run_fork_callbacks(registrations: list[Registration]) -> Iterator[None]:
    """Call the recorded callbacks for forks around os.fork(), as Python calls registered ones."""
    options = [
        registration.options
        for registration in registrations
        if registration.register is os.register_at_fork
    ]
    parent_pid = os.getpid()
    _call_each([option.get("before") for option in reversed(options)])
    try:
        yield
    finally:
        stage = "after_in_parent" if os.getpid() == parent_pid else "after_in_child"
        _call_each([option.get(stage) for option in options])


def _call_each(callbacks: list[Callable[[], Any] | None]) -> None:
    for callback in callbacks:
        with contextlib.suppress(Exception):  # Python would only print it
            if callback:
                callback()
