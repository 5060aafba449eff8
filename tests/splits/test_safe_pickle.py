"""Pickles of plain data are read, whoever wrote them; whatever asks for more is refused before anything runs."""

from __future__ import annotations

import builtins
import copyreg
import io
import os
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oodml.errors import LadderError
from oodml.splits.numpy_scalars import STAND_INS
from oodml.splits.safe_pickle import load_pickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
SCALARS: list[tuple[Any, Any]] = [
    (np.str_("AM General Hummer SUV 2000"), "AM General Hummer SUV 2000"),
    (np.str_("Straße é \U0001f697"), "Straße é \U0001f697"),
    (np.array(["big"], dtype=">U7")[0], "big"),
    (np.bytes_(b"123_final"), "123_final"),
    (np.float64(86.124), 86.124),
    (np.float32(0.5), 0.5),
    (np.array([-1.25], dtype=">f8")[0], -1.25),
    (np.int64(-(2**40)), -(2**40)),
    (np.array([258], dtype=">i4")[0], 258),
    (np.uint8(200), 200),
    (np.bool_(True), True),
]


def by_numpy_1(data: bytes) -> bytes:
    """The same pickle with the path that numpy 1 gave its scalars, frame lengths included."""
    data = data.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    data = data.replace(b"\x8c\x16numpy._core.multiarray", b"\x8c\x15numpy.core.multiarray")
    if data[2:3] == b"\x95":
        data = data[:3] + struct.pack("<Q", len(data) - 11) + data[11:]
    return data


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("scalar", "value"), SCALARS, ids=lambda v: f"{type(v).__name__}")
def test_numpy_scalars_become_plain_values(scalar: Any, value: Any, protocol: int) -> None:
    data = pickle.dumps([scalar, scalar, [scalar]], protocol=protocol)
    assert b"_core" in data and b"_core" not in by_numpy_1(data)
    for written in (data, by_numpy_1(data)):
        read: Any = load_pickle(written, "splits.pkl")
        assert read == [value, value, [value]]
        assert type(read[0]) is type(value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_containers_are_read(protocol: int) -> None:
    plain = {1: ["a", "é", 2, 111085122871, -5, 1.5, True, None, b"\x00\xff"], "2": {"x": ((), (1,), (1, 2, 3, 4))}}
    long = {number: [f"{number}.jpg"] * 3 for number in range(3000)}
    assert load_pickle(pickle.dumps([plain, long, long], protocol=protocol), "f") == [plain, long, long]


def test_the_pickles_of_python_2_are_read() -> None:
    data = (
        b"cnumpy.core.multiarray\nscalar\np1\n(cnumpy\ndtype\np2\n(S'U2'\nI0\nI1\ntRp3\n(I3\nS'<'\nNNNI8\nI4\nI8\ntb"
        b"S'a\\x00\\x00\\x00b\\x00\\x00\\x00'\np4\ntRp5\n."
    )
    assert load_pickle(data, "f") == "ab"


class Calls:
    """Pickles as a call."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.parts = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.parts


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_malicious_pickle_is_refused_and_runs_nothing(tmp_path: Path, protocol: int) -> None:
    marker = tmp_path / "marker"
    attacks = {
        f"{os.system.__module__}.system": Calls(os.system, f"touch {marker}"),
        "eval": Calls(builtins.eval, f"open({str(marker)!r}, 'w')"),
        "open": Calls(open, str(marker), "w"),
        "exec": {1: {"train": [np.str_("Audi"), Calls(builtins.exec, f"open({str(marker)!r}, 'w')")]}},
    }
    for name, attack in attacks.items():
        data = pickle.dumps(attack, protocol=protocol)
        with pytest.raises(LadderError, match=rf"evil\.pkl asks to load \S*{name}: refused, nothing was run"):
            load_pickle(data, "evil.pkl")
        assert not marker.exists()
        pickle.loads(data)  # it is a real attack: what it does shows that the refusal is what prevented it
        assert marker.exists()
        marker.unlink()


@pytest.mark.parametrize(
    "name",
    [
        "numpy.testing runstring",
        "numpy.testing._private.utils runstring",
        "numpy.core.multiarray _reconstruct",
        "numpy._core.multiarray fromfile",
        "numpy._core.multiarray scalar.__class__",
        "numpy load",
        "numpy ndarray",
        "numpy dtype.__init__.__globals__",
        "_codecs decode",
        "_codecs lookup",
        "__builtin__ getattr",
        "builtins eval",
        "copy_reg _reconstructor",
        "oodml.splits.numpy_scalars STAND_INS",
    ],
)
def test_no_other_name_is_admitted_however_it_is_asked_for(name: str) -> None:
    module, attribute = name.split(" ")
    lines = f"{module}\n{attribute}\n".encode()
    texts = b"".join(b"\x8c" + bytes([len(part)]) + part.encode() for part in (module, attribute))
    for data in (
        b"c" + lines + b".",  # GLOBAL
        b"c" + lines + b"(S'import os'\ntR.",  # ... called
        b"c" + lines + b"(S'import os'\ntR0]q\x00.",  # ... its result thrown away, a harmless list left
        b"(S'import os'\ni" + lines + b".",  # INST
        b"(c" + lines + b"S'import os'\no.",  # OBJ
        b"\x80\x02c" + lines + b")\x81.",  # NEWOBJ
        b"\x80\x04" + texts + b"\x93.",  # STACK_GLOBAL
    ):
        with pytest.raises(LadderError, match=f"asks to load {module}.{attribute}: refused, nothing was run"):
            load_pickle(data, "f")


def test_the_rest_of_the_pickle_language_is_refused() -> None:
    copyreg.add_extension("os", "system", 0xF7)
    try:
        cached = b"\x80\x02\x82\xf7."
        assert pickle.loads(cached) is os.system  # now the registry's cache would hand it out unasked
        for data, instruction in [
            (cached, "EXT1"),
            (b"\x80\x02\x83\xf7\x00.", "EXT2"),
            (b"Pthing\n.", "PERSID"),
            (b"\x80\x02K\x01Q.", "BINPERSID"),
            (pickle.dumps(bytearray(b"abc"), protocol=5), "BYTEARRAY8"),
            (b"\x80\x05\x97.", "NEXT_BUFFER"),
            (b"]2.", "DUP"),
            (pickle.dumps({1, 2}, protocol=4), "EMPTY_SET"),
        ]:
            with pytest.raises(LadderError, match=f"uses the pickle instruction {instruction}: refused"):
                load_pickle(data, "f")
    finally:
        copyreg.remove_extension("os", "system", 0xF7)
    with pytest.raises(LadderError, match="OrderedDict"):
        load_pickle(pickle.dumps(OrderedDict(a=1)), "f")
    with pytest.raises(LadderError, match="_reconstruct: refused"):
        load_pickle(pickle.dumps(np.arange(3)), "f")


DTYPE = b"cnumpy\ndtype\n(S'i8'\nI00\nI01\ntR"
SCALAR = b"cnumpy.core.multiarray\nscalar\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pickle.dumps(np.datetime64("2020-01-01")), "unknown way"),
        (pickle.dumps(np.complex128(1)), "unknown way"),
        (pickle.dumps(np.longdouble(1)), "f16, which no file"),
        (SCALAR + b"(cnumpy\ndtype\n(S'O8'\nI00\nI01\ntR]tR.", "unknown way"),
        (SCALAR + b"(" + DTYPE + b"S'123'\ntR.", "damaged numpy scalar"),
        (SCALAR + b"(" + DTYPE + b"]tR.", "neither a text nor a number"),
        (SCALAR + b"(I8\nS'12345678'\ntR.", "neither a text nor a number"),
        (SCALAR + b"(tR.", "missing 2 required"),
        (SCALAR + b"(cnumpy\ndtype\n(S'U2'\nI0\nI1\ntRS'a'\ntR.", "2 characters in 1 bytes"),
        (SCALAR + b"(cnumpy\ndtype\n(S'U1'\nI0\nI1\ntRU\x04\xff\xff\xff\xfftR.", "damaged numpy scalar"),
        (b"cnumpy\ndtype\n(]tR.", "unknown way"),
        (DTYPE + b"(I3\nS'<'\nNN(dI-1\nI-1\nI0\ntb.", "not a plain scalar's"),
        (DTYPE + b"]b.", "not a plain scalar's"),
        (b"c_codecs\nencode\n(S'a'\nS'rot13'\ntR.", "encodes something else"),
        (SCALAR + b"(N(S'_function'\nNdtb.", "tries to change a function"),
        (b"(lS'a'\nb.", "cut short"),
        (b"]q\x00K\x01K\x02s.", "cut short"),
    ],
)
def test_misused_stand_ins_are_refused(data: bytes, message: str) -> None:
    before = {name: stand_in._function for name, stand_in in STAND_INS.items()}
    with pytest.raises(LadderError, match=f"splits.pkl .*{message}"):
        load_pickle(data, "splits.pkl")
    assert {name: stand_in._function for name, stand_in in STAND_INS.items()} == before


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"(" * 200_000, "not a readable pickle"),
        (b"]" * 200_000 + b"a" * 199_999 + b".", "more than 100 deep"),
        (b"}" + b")" + b"\x85" * 200_000 + b"K\x01s.", "more than 100 deep"),  # hashing it would exhaust the stack
        (b"}](0" + b"\x85" * 200_000 + b"K\x01s.", "more than 100 deep"),  # what it pops is a mark
        (b"}(0" + b"0" + b"K\x01s.", "not a readable pickle"),
        (b"\x80\x02]r\xff\xff\xff\x7f.", "numbers its objects out of order"),  # would reserve 32 GB
        (b"]p99999999999\n.", "numbers its objects out of order"),
        (b"L" + b"9" * 4000 + b"L\n.", "more than 64 bits"),
        (b"I" + b"9" * 100_000 + b"\n.", "not a readable pickle"),
        (b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc.", "not a readable pickle"),
        (b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f].", "not a readable pickle"),
        (b"\x80\x63].", "not a readable pickle"),
    ],
)
def test_pickles_made_to_exhaust_the_reader_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(LadderError, match=message) as caught:
        load_pickle(data, "f")
    assert len(str(caught.value)) < 400


def test_containers_that_hold_themselves_are_read_or_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    read = load_pickle(pickle.dumps(endless), "f")
    assert isinstance(read, list) and read[0] is read
    knot: dict[int, Any] = {}
    knot[1] = (knot, [knot])
    assert isinstance(load_pickle(pickle.dumps(knot, protocol=0), "f"), dict)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_truncation_is_an_error_that_names_the_file(protocol: int) -> None:
    data = pickle.dumps({1: {"train": [np.str_("Audi"), "é"], "fid": np.float64(8.59)}}, protocol=protocol)
    for length in range(len(data)):
        with pytest.raises(LadderError, match=r"cars\.pkl is not a readable pickle of splits \(cut short\?\)"):
            load_pickle(data[:length], "cars.pkl")


GOOD = pickle.dumps({1: {"train": [np.str_("Audi"), ("a", 1)], "fid": np.float64(8.59)}}, protocol=2)


@given(st.integers(0, len(GOOD) - 1), st.binary(max_size=3), st.integers(0, 4))
@example(0, b"", 0)
def test_a_damaged_pickle_gives_plain_data_or_one_kind_of_error(place: int, put: bytes, cut: int) -> None:
    data = GOOD[:place] + put + GOOD[place + cut :]
    try:
        read = load_pickle(data, "f")
    except LadderError:
        return
    assert type(read).__module__ in ("builtins", "oodml.splits.numpy_scalars")


@given(st.binary(max_size=60))
def test_garbage_gives_plain_data_or_one_kind_of_error(data: bytes) -> None:
    try:
        load_pickle(data, "f")
    except LadderError as error:
        assert str(error).startswith("f ")


def test_names_from_the_file_cannot_control_the_terminal() -> None:
    buffer = io.BytesIO(b"c\x1b[31mos\nsystem\n.")
    with pytest.raises(LadderError, match=r"asks to load \\x1b\[31mos\.system") as caught:
        load_pickle(buffer.getvalue(), "f")
    assert "\x1b" not in str(caught.value)
