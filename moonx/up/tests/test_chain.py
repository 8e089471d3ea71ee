"""The chain's file: whole, or the last whole copy."""

from pathlib import Path

from moonx.up.chain import LocalChain


def chain(home: Path) -> LocalChain:
    made = LocalChain(home, 1)
    assert made.prepare() is None
    return made


def test_half_a_file_is_replaced_by_its_last_whole_copy(tmp_path: Path) -> None:
    local = chain(tmp_path)
    local.state.write_text('{"blocks": [1, 2]}')
    local.keep_copy()
    local.state.write_text('{"blocks": [1, 2,')
    local.keep_copy()
    assert "last whole copy" in str(local.prepare())
    assert local.state.read_text() == '{"blocks": [1, 2]}'


def test_half_a_file_without_a_copy_starts_a_new_chain(tmp_path: Path) -> None:
    local = chain(tmp_path)
    local.state.write_text('{"blo')
    assert "starts anew" in str(local.prepare())
    assert not local.state.exists()
