"""Pieces: whatever groups a file has, its pieces cover them in order, each large enough but the last."""

from hypothesis import given
from hypothesis import strategies as st

from crossent.scoring.sources.source import Piece, row_ranges, runs


@given(st.lists(st.integers(0, 50), max_size=20), st.integers(1, 100))
def test_runs_cover_every_group_once(counts, piece_rows):
    pieces = runs(counts, piece_rows)
    assert [group for piece in pieces for group in piece.groups] == list(range(len(counts)))
    assert [piece.first_row for piece in pieces] == [
        sum(counts[: piece.groups[0]]) for piece in pieces if piece.groups
    ] or [0]
    assert all(piece.rows == sum(counts[group] for group in piece.groups) for piece in pieces)
    assert all(piece.rows >= piece_rows for piece in pieces[:-1])


def test_a_huge_group_is_one_piece():
    assert runs([10, 1000, 10], 100) == [Piece(0, 1010, (0, 1)), Piece(1010, 10, (2,))]


@given(st.integers(0, 200), st.integers(1, 300))
def test_row_ranges_cover_every_row_once(rows, piece_rows):
    pieces = row_ranges(rows, piece_rows)
    covered = [row for piece in pieces for row in range(piece.first_row, piece.first_row + piece.rows)]
    assert covered == list(range(rows))
    assert pieces
