"""The check of machine code that kernels wait before they write: cmake/check_early_kernels.py."""

import importlib.util
import os
import stat
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

CODE = """
        code for sm_90
                Function : {name}
        /*0000*/                   LDC R1, c[0x0][0x28] ;               /* 0x00000a00ff017b82 */
                                                                        /* 0x000e220000000800 */
        /*0010*/              @!P0 LDGSTS.E.BYPASS.128 [R9], desc[UR4][R2.64] ;
{body}
        /*0900*/                   EXIT ;
"""
WAIT, LET, STORE = (f"        /*0{n}00*/                   {text} ;" for n, text in enumerate(
    ("ACQBULK", "PREEXIT", "STG.E desc[UR4][R2.64], R5"), 1
))  # fmt: skip
CONSTANT = "        /*0400*/              @!P2 LDG.E.128.CONSTANT R4, desc[UR4][R2.64] ;"


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Runs the check on the code of a build whose disassembler is a script that prints it."""
    spec = importlib.util.spec_from_file_location("check_early_kernels", ROOT / "cmake/check_early_kernels.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tool = tmp_path / "bin" / "cuobjdump"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\ncat "$2"\n')
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")

    def run(*bodies, options=()):
        for number, body in enumerate(bodies):
            (tmp_path / f"{number}.o").write_text(CODE.format(name=f"kernel_{number}", body="\n".join(body)))
        return module.main([str(tmp_path), *options])

    return run


def test_a_kernel_that_waits_is_good(check, capsys):
    assert check([WAIT, LET, STORE], [STORE]) == 0  # the second is none of those that may begin early
    assert capsys.readouterr().out == "1 kernels wait for the one before, 0 of them wrongly\n"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ([STORE, WAIT, LET], "kernel_1: STG.E before the wait; loads before the wait: LDGSTS.E.BYPASS.128\n"),
        ([LET, WAIT, STORE], "kernel_1: PREEXIT before the wait"),
        ([WAIT, LET, CONSTANT], "kernel_1: LDG.E.128.CONSTANT;"),
    ],
)
def test_one_that_does_not_is_named(check, capsys, body, text):
    assert check([WAIT, LET, STORE], body) == 1
    out = capsys.readouterr().out
    assert text in out
    assert out.endswith("2 kernels wait for the one before, 1 of them wrongly\n")


def test_one_architecture_alone_is_disassembled(check, capsys, tmp_path):
    (tmp_path / "bin" / "cuobjdump").write_text('#!/bin/sh\n[ "$1 $2 $3" = "-sass -arch sm_90" ] && cat "$4"\n')
    assert check([WAIT, LET, STORE], options=("--architecture", "90")) == 0
    assert capsys.readouterr().out.startswith("1 kernels wait")


def test_a_build_without_such_kernels_is_said(check, capsys):
    assert check([STORE]) == 1
    assert capsys.readouterr().err == "no kernel waits: the build has no code for sm_90 or later\n"


def test_objects_of_the_cpu_are_passed_over(check, capsys, tmp_path):
    """For them cuobjdump ends with a status other than 0."""
    text = "cuobjdump info    : File does not contain device code"
    script = f"#!/bin/sh\ncase $2 in *cpu.o) echo '{text}'; exit 255;; esac\ncat \"$2\"\n"
    (tmp_path / "bin" / "cuobjdump").write_text(script)
    (tmp_path / "cpu.o").write_text("")
    assert check([WAIT, LET, STORE]) == 0
    assert capsys.readouterr().out.startswith("1 kernels wait")


def test_a_file_that_cuobjdump_cannot_read_is_an_error(check, capsys, tmp_path):
    (tmp_path / "bin" / "cuobjdump").write_text("#!/bin/sh\necho 'not an ELF file' >&2\nexit 255\n")
    assert check([WAIT, LET, STORE]) == 1
    assert capsys.readouterr().err.endswith("0.o: cuobjdump ends with status 255: not an ELF file\n")
