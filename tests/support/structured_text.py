"""Executes Structured Text, as far as the blocks of deploy/plc use it: IEC 61131-3 and Siemens' SCL alike.

    blocks = blocks_from_text(Path("deploy/plc/edge_verdict.st").read_text())
    verdict = blocks["FB_VerdictBin"]()            # an instance: what it retains stays
    outputs = verdict(abData=payload, nLen=64, nTriggerId=7)

Assignments, IF, FOR, RETURN, calls of functions. Integers have the width of what they are declared as and wrap there,
as in a PLC; NOT of a bit string inverts its bits. Whatever else is met ends in a SyntaxError.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

BITS = {"BOOL": 1, "BYTE": 8, "INT": 16, "UINT": 16, "DWORD": 32, "UDINT": 32}
TOKEN = re.compile(
    r"(?P<number>(?:[A-Za-z]+#)?16#[0-9A-Fa-f]+|(?:[A-Za-z]+#)?\d+)|(?P<name>\w+)|(?P<sign>:=|<>|<=|>=|\.\.|[-+*()\[\],;:<>=])"
)
COMMENT = re.compile(r"\(\*.*?\*\)|//[^\n]*|\{.*?\}", re.DOTALL)
PRECEDENCE = {"OR": 1, "XOR": 2, "AND": 3, "=": 4, "<>": 4, "<": 5, ">": 5, "<=": 5, ">=": 5, "+": 6, "-": 6, "*": 7}
NOT_PRECEDENCE = 8


class _ReturnError(Exception):
    """RETURN was executed."""


@dataclass(frozen=True)
class Value:
    """A number with its width; BOOL is one bit."""

    number: int
    bits: int = 32


@dataclass
class Variable:
    """What was declared. section: VAR_INPUT, VAR_OUTPUT, VAR, VAR_TEMP or RETAIN."""

    bits: int
    section: str
    length: int | None = None  # of an array


Scope = dict[str, "int | list[int]"]
Evaluate = Callable[[Scope], Value]
Execute = Callable[[Scope], None]


@dataclass
class Block:
    """A FUNCTION or FUNCTION_BLOCK. Calling it makes an instance."""

    name: str
    variables: dict[str, Variable]
    body: list[Execute] = field(default_factory=list)

    def __call__(self) -> Callable[..., Scope]:
        retained: Scope = {name: 0 for name, v in self.variables.items() if v.section == "RETAIN"}

        def call(**inputs: int | bytes) -> Scope:
            scope: Scope = {name: [0] * v.length if v.length else 0 for name, v in self.variables.items()}
            scope.update(retained)
            for name, given in inputs.items():
                length = self.variables[name].length
                scope[name] = given if length is None else [*given[:length], *[0] * (length - len(given))]
            try:
                for statement in self.body:
                    statement(scope)
            except _ReturnError:
                pass
            retained.update({name: scope[name] for name in retained})
            return scope

        return call


def blocks_from_text(text: str) -> dict[str, Block]:
    """All blocks of a source, by name. Raises SyntaxError."""
    return _Parser(text).blocks()


class _Parser:
    def __init__(self, text: str) -> None:
        plain = COMMENT.sub(" ", text).replace("VERSION : 0.1", "").replace('"', "")
        plain = re.sub(r"(?<![\w])#(?=[A-Za-z_])", "", plain)  # Siemens marks variables
        self._tokens: list[str] = []
        for piece in re.split(r"\s+", plain):
            at = 0
            while at < len(piece):
                match = TOKEN.match(piece, at)
                if match is None:
                    raise SyntaxError(f"{piece[at:]!r} is no token")
                self._tokens.append(match[0])
                at = match.end()
        self._at = 0
        self._blocks: dict[str, Block] = {}
        self._variables: dict[str, Variable] = {}

    def blocks(self) -> dict[str, Block]:
        while self._at < len(self._tokens):
            kind = self._take("FUNCTION", "FUNCTION_BLOCK")
            name = self._take()
            self._variables = {}
            if kind == "FUNCTION":
                self._take(":")
                self._variables[name] = Variable(BITS[self._take().upper()], "VAR_OUTPUT")
            while self._next().startswith("VAR"):
                self._declarations()
            if self._next() == "BEGIN":
                self._take()
            block = self._blocks[name] = Block(name, self._variables)
            block.body = self._statements(f"END_{kind}")
            self._take(f"END_{kind}")
        return self._blocks

    def _next(self) -> str:
        return self._tokens[self._at]

    def _take(self, *allowed: str) -> str:
        token = self._tokens[self._at]
        if allowed and token not in allowed:
            raise SyntaxError(f"found {token!r} before {self._tokens[self._at + 1 : self._at + 6]}, expected {allowed}")
        self._at += 1
        return token

    def _declarations(self) -> None:
        section = self._take()
        if self._next() == "RETAIN":
            section = self._take()
        while self._next() != "END_VAR":
            names = [self._take()]
            while self._next() == ",":
                self._take()
                names.append(self._take())
            self._take(":")
            kind, length = self._take().upper(), None
            if kind == "ARRAY":
                self._take("[")
                self._take("0")
                self._take("..")
                length = int(self._take()) + 1
                self._take("]")
                self._take("OF", "of")
                kind = self._take().upper()
            if self._next() == ":=":  # an initial value, which the body sets again
                self._take()
                self._take()
            self._take(";")
            self._variables.update({name: Variable(BITS[kind], section, length) for name in names})
        self._take("END_VAR")

    def _statements(self, *ends: str) -> list[Execute]:
        found = []
        while self._next() not in ends:
            found.append(self._statement())
        return found

    def _statement(self) -> Execute:
        match self._next():
            case "IF":
                return self._if()
            case "FOR":
                return self._for()
            case "RETURN":
                self._take()
                self._take(";")
                return _return
        name = self._take()
        self._take(":=")
        value = self._expression()
        self._take(";")
        bits = self._variables[name].bits
        return lambda scope: scope.update({name: value(scope).number % (1 << bits)})

    def _if(self) -> Execute:
        self._take("IF")
        condition = self._expression()
        self._take("THEN")
        then, otherwise = self._statements("ELSE", "END_IF"), []
        if self._take() == "ELSE":
            otherwise = self._statements("END_IF")
            self._take("END_IF")
        self._take(";")
        return lambda scope: _run(then if condition(scope).number else otherwise, scope)

    def _for(self) -> Execute:
        self._take("FOR")
        name = self._take()
        self._take(":=")
        first = self._expression()
        self._take("TO")
        last = self._expression()
        self._take("DO")
        body = self._statements("END_FOR")
        self._take("END_FOR")
        self._take(";")

        def execute(scope: Scope) -> None:
            for number in range(first(scope).number, last(scope).number + 1):
                scope[name] = number
                _run(body, scope)

        return execute

    def _expression(self, least: int = 1) -> Evaluate:
        left = self._operand()
        while (precedence := PRECEDENCE.get(self._next(), 0)) >= least:
            left = _operation(self._take(), left, self._expression(precedence + 1))
        return left

    def _operand(self) -> Evaluate:
        token = self._take()
        if token == "(":
            inner = self._expression()
            self._take(")")
            return inner
        if token == "NOT":
            inner = self._expression(NOT_PRECEDENCE)
            return lambda scope: _inverted(inner(scope))
        if token in ("TRUE", "FALSE"):
            return lambda scope: Value(token == "TRUE", 1)
        if token[0].isdigit() or "#" in token:
            number = int(token.split("16#")[1], 16) if "16#" in token else int(token.rpartition("#")[2])
            return lambda scope: Value(number)
        if self._next() == "(":
            return self._call(token)
        variable = self._variables[token]
        if self._next() == "[":
            self._take("[")
            place = self._expression()
            self._take("]")
            return lambda scope: Value(scope[token][place(scope).number], variable.bits)
        if variable.length is not None:
            return lambda scope: scope[token]  # as an argument alone
        return lambda scope: Value(scope[token], variable.bits)

    def _call(self, name: str) -> Evaluate:
        self._take("(")
        given: list[tuple[str | None, Evaluate]] = []
        while self._next() != ")":
            keyword = None
            if self._tokens[self._at + 1] == ":=":
                keyword = self._take()
                self._take(":=")
            given.append((keyword, self._expression()))
            if self._next() == ",":
                self._take()
        self._take(")")
        values = [value for _, value in given]
        if name == "SHR":
            return lambda scope: Value(values[0](scope).number >> values[1](scope).number, values[0](scope).bits)
        if match := re.fullmatch(r"[A-Z]+_TO_([A-Z]+)", name):
            return lambda scope: Value(values[0](scope).number % (1 << BITS[match[1]]), BITS[match[1]])
        block = self._blocks[name]
        inputs = [n for n, v in block.variables.items() if v.section == "VAR_INPUT"]
        names = [keyword or inputs[place] for place, (keyword, _) in enumerate(given)]

        def call(scope: Scope) -> Value:
            arguments = {
                n: a.number if isinstance(a := v(scope), Value) else a for n, v in zip(names, values, strict=True)
            }
            return Value(block()(**arguments)[name], block.variables[name].bits)

        return call


def _return(scope: Scope) -> None:
    raise _ReturnError


def _run(statements: list[Execute], scope: Scope) -> None:
    for statement in statements:
        statement(scope)


def _inverted(value: Value) -> Value:
    return Value(~value.number % (1 << value.bits), value.bits)


def _operation(sign: str, left: Evaluate, right: Evaluate) -> Evaluate:
    compare: dict[str, Callable[[int, int], bool]] = {
        "=": int.__eq__, "<>": int.__ne__, "<": int.__lt__, ">": int.__gt__, "<=": int.__le__, ">=": int.__ge__,
    }  # fmt: skip
    compute: dict[str, Callable[[int, int], int]] = {
        "AND": int.__and__, "OR": int.__or__, "XOR": int.__xor__,
        "+": int.__add__, "-": int.__sub__, "*": int.__mul__,
    }  # fmt: skip
    if sign in compare:
        return lambda scope: Value(int(compare[sign](int(left(scope).number), int(right(scope).number))), 1)

    def evaluate(scope: Scope) -> Value:
        one, other = left(scope), right(scope)
        bits = max(one.bits, other.bits)
        return Value(compute[sign](int(one.number), int(other.number)) % (1 << bits), bits)

    return evaluate
