"""The way to a Ray cluster: one that is there, or one that is started on this machine for the time of a sweep."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from oodml.errors import MissingPackageError, UsageError
from oodml.executors.places import Places

INSTALL = "pip install 'oodml[ray]'"
CLIENT = "ray://"
CLIENT_PORT = 10001  # Ray's default
PROBE_S = 4.0  # seconds for each of two questions to an address
QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
RETRIES = 2  # times that Ray repeats a job whose process or node died
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_task_oom_retries": str(RETRIES),  # without it Ray repeats a job that is too big for every node for ever
}
_TOKEN = " (of a cluster that asks for a token? then set RAY_AUTH_MODE=token)"


def import_ray() -> Any:
    """The package.

    Raises:
        MissingPackageError: If it is not installed; names the extra.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise MissingPackageError("ray", "--executor ray", INSTALL) from error
    return ray


@contextmanager
def connected(places: Places) -> Iterator[Any]:
    """The package `ray` with a connection, which ends with the block; one that was open before stays open.

    Raises:
        MissingPackageError: If Ray is not installed.
        UsageError: If there is no cluster at the address.
    """
    ray = import_ray()
    if ray.is_initialized():
        yield ray
        return
    before = signal.getsignal(signal.SIGTERM)
    with _silenced():
        try:
            if places.ray_address is None:
                cpus = max(os.cpu_count() or 1, (places.workers or 1) * places.threads)
                ray.init(address="local", num_cpus=cpus, include_dashboard=False, **QUIET)
            else:
                _connect(ray, places.ray_address)
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, before)  # Ray's own would end the program at once
            yield ray
        finally:
            ray.shutdown()


def _connect(ray: Any, address: str) -> None:
    where = os.environ.get("RAY_ADDRESS") if address == "auto" else address
    if where:
        check_address(where)
    try:
        ray.init(address=address, **QUIET)
    except (ConnectionError, RuntimeError, ValueError) as error:  # also a cluster of another version of Ray
        reason = (str(error).splitlines() or [""])[0]
        hint = "" if address == "auto" or "RAY_AUTH_MODE" in os.environ else _TOKEN
        raise UsageError(f"--ray-address {address}: {reason}{hint}; {_help()}") from error


def check_address(address: str) -> None:
    """Sees within seconds whether a cluster answers at an address: Ray itself would try for minutes.

    Raises:
        MissingPackageError: If the package to ask with is not installed.
        UsageError: If it is no address, or nothing answers there that could be Ray.
    """
    try:
        import grpc
    except ImportError as error:
        raise MissingPackageError("grpcio", f"--ray-address {address}", INSTALL) from error
    host, separator, port = address.removeprefix(CLIENT).rpartition(":")
    if not separator and address.startswith(CLIENT):
        host, port = port, str(CLIENT_PORT)
    if not host or not port.isdecimal():
        raise UsageError(f"--ray-address {address!r} should be auto, ray://HOST:PORT or HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE_S).close()
    except (OSError, OverflowError) as error:
        raise UsageError(f"--ray-address {address}: no Ray cluster answers there ({error}); {_help()}") from error
    with grpc.insecure_channel(f"{host}:{port}") as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=PROBE_S)
        except grpc.FutureTimeoutError as error:
            raise UsageError(
                f"--ray-address {address}: what answers there is no Ray cluster; HOST:PORT is that of `ray start "
                f"--head` (6379), ray://HOST:PORT the one for clients ({CLIENT_PORT})"
            ) from error


def _help() -> str:
    return "start one with `ray start --head`, or leave --ray-address out to start one for this sweep"


@contextmanager
def _silenced() -> Iterator[None]:
    """Keeps off the terminal what Ray prints of every process that dies: it has no switch, and the sweep tells it."""
    worker: Any = sys.modules.get("ray._private.worker")
    before = getattr(worker, "print_to_stdstream", None)
    if before is None:
        yield
        return
    worker.print_to_stdstream = lambda *_, **__: None
    try:
        yield
    finally:
        worker.print_to_stdstream = before
