"""Arrow IPC, mapped into memory: pages are read when a batch is, and the system may drop them again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossent.scoring.arrow import ipc, pa
from crossent.scoring.sources.source import Piece, readable, runs, valid

FILE_MAGIC = b"ARROW1"


@dataclass(frozen=True)
class IpcSource:
    """An Arrow file, whose record batches can be read apart, or an Arrow stream, which is read from its start."""

    path: Path
    schema: Any
    format: str
    rows: int | None = None
    skipped: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @classmethod
    def open(cls, path: Path) -> "IpcSource":
        with path.open("rb") as file:
            is_file = file.read(len(FILE_MAGIC)) == FILE_MAGIC
        with pa.memory_map(str(path)) as mapped, (ipc.open_file if is_file else ipc.open_stream)(mapped) as reader:
            return cls(path, reader.schema, "Arrow file" if is_file else "Arrow stream")

    def pieces(self, columns: Sequence[str], piece_rows: int) -> list[Piece]:
        if self.format != "Arrow file":
            return [Piece(0, None)]
        # Only a record batch knows its length, and reading one that is compressed unpacks all of its columns.
        narrow = [index for index, each in enumerate(self.schema) if pa.types.is_primitive(each.type)][:1]
        options = ipc.IpcReadOptions(included_fields=narrow)
        with (
            readable(self.path),
            pa.memory_map(str(self.path)) as mapped,
            ipc.open_file(mapped, options=options) as reader,
        ):
            return runs((reader.get_batch(index).num_rows for index in range(reader.num_record_batches)), piece_rows)

    def batches(
        self, columns: Sequence[str], batch_rows: int, types: Mapping[str, Any], piece: Piece | None = None
    ) -> Iterator[Any]:
        # Columns are selected from the mapped batch: with `included_fields` the file reader copies what it reads, a
        # whole batch at a time, and a batch may be the whole table (seen with pyarrow 26.0.1).
        wanted = list(columns)
        with pa.memory_map(str(self.path)) as mapped:
            if self.format == "Arrow file":
                with ipc.open_file(mapped) as reader:
                    indices = range(reader.num_record_batches) if piece is None else piece.groups
                    yield from valid((reader.get_batch(index).select(wanted) for index in indices), batch_rows)
            else:
                with ipc.open_stream(mapped) as reader:
                    yield from valid((batch.select(wanted) for batch in reader), batch_rows)
