"""Looks through the instructions of a pickle before it is read, for those that plain data does not need."""

from __future__ import annotations

import pickle
import pickletools

MAX_DEPTH = 100  # containers inside each other: hashing a very deep tuple exhausts the C stack
MAX_INTEGER = 2**64

_OPCODES = frozenset(opcode.name for opcode in pickletools.opcodes if opcode.proto <= 4) - {
    *("PERSID", "BINPERSID"),  # objects kept elsewhere
    *("EXT1", "EXT2", "EXT4"),  # the registry of extensions, whose cache is read without asking find_class
    "DUP",  # written by no pickler
    *("EMPTY_SET", "ADDITEMS", "FROZENSET"),  # older protocols would have to call `set`
}
_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
_GETS = frozenset({"GET", "BINGET", "LONG_BINGET"})
_INTEGERS = frozenset({"INT", "LONG", "LONG1", "LONG4"})  # those that the width of the instruction does not bound
_PUSH = (
    frozenset(o.name for o in pickletools.opcodes if not o.stack_before and len(o.stack_after) == 1) - _GETS - {"MARK"}
)
_EFFECTS = {
    o.name: (
        len(o.stack_before),
        o.stack_before.index(pickletools.markobject) if pickletools.markobject in o.stack_before else None,
        bool(o.stack_after),
    )
    for o in pickletools.opcodes
}
"""Of each instruction how many objects it takes, or how many below the mark, and whether it leaves one."""
_WRAP = frozenset({"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "LIST", "DICT"})
_ADD = frozenset({"APPEND", "APPENDS", "SETITEM", "SETITEMS", "BUILD"})


def objection(data: bytes) -> str:
    r"""What speaks against unpickling, or "" if nothing does; builds nothing itself.

    Args:
        data: A pickle.

    Returns:
        What the pickle does, as the end of a sentence: it uses instructions that plain data does not need, or
        could exhaust memory or the stack of the interpreter.

    Raises:
        Exception: Of nearly any kind, if the pickle is damaged.

    Example:
        >>> objection(b"})" + b"\x85" * 1000 + b"Ns.")
        'nests containers more than 100 deep'
    """
    outline = _Outline()
    for opcode, argument, _ in pickletools.genops(data):
        name = opcode.name
        if name not in _OPCODES:
            return f"uses the pickle instruction {name}"
        if name in _PUTS:
            # the unpickler reserves memory up to the number that is asked for
            if not outline.memorise(argument):
                return "numbers its objects out of order"
        elif name in _PUSH:
            outline.depths.append(0)
            if name in _INTEGERS and abs(argument or 0) >= MAX_INTEGER:
                return "holds an integer of more than 64 bits"
        elif outline.follow(opcode, argument) > MAX_DEPTH:
            return f"nests containers more than {MAX_DEPTH} deep"
    return ""


class _Outline:
    """The stack of an unpickler, with nothing on it but how many containers lie inside each other."""

    def __init__(self) -> None:
        self.depths: list[int] = []
        self.marks: list[int] = []
        self.memo: dict[int, int] = {}

    def memorise(self, place: int | None) -> bool:
        """Whether the place is among those that a pickler would give out next; None takes the next one."""
        place = len(self.memo) if place is None else place
        self.memo[place] = self.depths[-1]
        return place <= len(self.memo)

    def follow(self, opcode: pickletools.OpcodeInfo, argument: int | None) -> int:
        """The depth of what an instruction leaves on the stack."""
        if opcode.name == "MARK":
            self.marks.append(len(self.depths))
        elif opcode.name == "POP" and self.marks and self.marks[-1] == len(self.depths):
            self.marks.pop()  # of a mark and an object, it takes what lies on top
        elif opcode.name in _GETS and argument is not None:
            self.depths.append(self.memo[argument])
        else:
            takes, below_mark, leaves = _EFFECTS[opcode.name]
            bottom = len(self.depths) - takes if below_mark is None else self.marks.pop() - below_mark
            if bottom < (self.marks[-1] if self.marks else 0):
                raise pickle.UnpicklingError("an instruction lacks its operands")
            taken = self.depths[bottom:]
            del self.depths[bottom:]
            if leaves:
                self.depths.append(_depth(opcode.name, taken))
        return self.depths[-1] if self.depths else 0


def _depth(opcode: str, taken: list[int]) -> int:
    """How many containers lie inside each other in the result of an instruction."""
    if opcode in _WRAP:
        return 1 + max(taken, default=0)
    return max(taken[0], 1 + max(taken[1:], default=0)) if opcode in _ADD else 0
