"""Arrow types as the trainer's loader joins and casts them.

Sources: datasets 4.0.0, table.py: cast_table_to_schema, cast_array_to_feature, array_cast (what a later chunk goes
through); pyarrow's own inference over a pandas column (what the rows of a JSON array go through).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


class TypeConflict(Exception):
    """Two types that do not go together, and the column path where they meet."""

    def __init__(self, place: str, known: object, other: object) -> None:
        super().__init__(f"{place}: {known} and {other}")
        self.place = place
        self.known = known
        self.other = other


def merge_types(place: str, known: pa.DataType, other: pa.DataType) -> pa.DataType:
    """The one type that holds both, as pyarrow infers it over all values; TypeConflict where there is none."""
    import pyarrow as pa

    types: Any = pa.types
    if known == other or types.is_null(other):
        return known
    if types.is_null(known):
        return other
    if types.is_struct(known) and types.is_struct(other):
        return merge_structs(place, known, other)
    if types.is_list(known) and types.is_list(other):
        return pa.list_(merge_types(f"{place}[]", item_of(known), item_of(other)))
    if is_number(known) and is_number(other):
        return pa.float64()
    raise TypeConflict(place, known, other)


def merge_structs(place: str, known: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Fields in the order of their first appearance."""
    import pyarrow as pa

    fields = dict(fields_of(known))
    for name, kind in fields_of(other):
        fields[name] = merge_types(f"{place}.{name}", fields[name], kind) if name in fields else kind
    return pa.struct(list(fields.items()))


def merge_schemas(known: pa.Schema | None, other: pa.Schema) -> pa.Schema:
    """The schema over both tables' columns."""
    import pyarrow as pa

    if known is None:
        return other
    fields = {field.name: field.type for field in known}
    for field in other:
        name = field.name
        fields[name] = merge_types(name, fields[name], field.type) if name in fields else field.type
    return pa.schema(list(fields.items()))


def is_number(kind: pa.DataType) -> bool:
    """Whether JSON calls it a number."""
    import pyarrow as pa

    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def cast_table(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table under the schema that the first chunk set; TypeConflict where the loader fails."""
    import pyarrow as pa

    for name in table.column_names:
        if name not in schema.names:
            raise TypeConflict(name, "no such column", table.schema.field(name).type)
    columns = []
    for field in schema:
        if field.name in table.column_names:
            columns.append(cast_column(table.column(field.name), field.type, field.name))
        else:
            columns.append(pa.chunked_array([pa.nulls(table.num_rows, field.type)]))
    return pa.Table.from_arrays(columns, schema=schema)


def cast_column(column: pa.ChunkedArray[Any], kind: pa.DataType, place: str) -> pa.ChunkedArray[Any]:
    """All chunks of one column."""
    import pyarrow as pa

    if column.type == kind:
        return column
    chunked: Any = pa.chunked_array
    made: pa.ChunkedArray[Any] = chunked([cast_array(chunk, kind, place) for chunk in column.chunks], type=kind)
    return made


def cast_array(array: pa.Array[Any], kind: pa.DataType, place: str) -> pa.Array[Any]:
    """One array, nested structure followed by name; fields that the array lacks become null."""
    import pyarrow as pa

    types: Any = pa.types
    lists: Any = array
    if array.type == kind:
        return array
    try:
        if types.is_null(array.type):
            return nulls(len(array), kind)
        if types.is_struct(array.type) and types.is_struct(kind):
            return cast_struct(array, kind, place)
        if is_list(array.type) and is_list(kind):
            values = cast_array(lists.values, item_of(kind), f"{place}[]")
            make: Any = type(nulls(0, kind))
            made: pa.Array[Any] = make.from_arrays(offsets_of(array), values)
            return made
        if is_nested(array.type) or is_nested(kind) or types.is_null(kind):
            raise TypeConflict(place, kind, array.type)
        return array.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise TypeConflict(place, kind, array.type) from error


def cast_struct(array: pa.Array[Any], kind: pa.DataType, place: str) -> pa.Array[Any]:
    """A struct whose fields are a part of the wanted ones."""
    import pyarrow as pa

    structs: Any = array
    wanted, have = dict(fields_of(kind)), dict(fields_of(array.type))
    for name, sub in have.items():
        if name not in wanted:
            raise TypeConflict(f"{place}.{name}", "no such field", sub)
    parts = [
        cast_array(structs.field(name), sub, f"{place}.{name}") if name in have else nulls(len(array), sub)
        for name, sub in wanted.items()
    ]
    if not parts:
        return array
    make: Any = pa.StructArray
    made: pa.Array[Any] = make.from_arrays(
        parts, fields=[pa.field(*item) for item in wanted.items()], mask=array.is_null()
    )
    return made


def nulls(count: int, kind: pa.DataType) -> pa.Array[Any]:
    """So many nulls of a type."""
    import pyarrow as pa

    make: Any = pa.nulls
    made: pa.Array[Any] = make(count, kind)
    return made


def fields_of(kind: pa.DataType) -> list[tuple[str, pa.DataType]]:
    """A struct's fields in order."""
    struct: Any = kind
    return [(field.name, field.type) for field in struct]


def item_of(kind: pa.DataType) -> pa.DataType:
    """The type of a list's items."""
    lists: Any = kind
    item: pa.DataType = lists.value_type
    return item


def offsets_of(array: pa.Array[Any]) -> pa.Array[Any]:
    """A list array's offsets, null where the list is null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lists: Any = array
    offsets: pa.Array[Any] = lists.offsets
    if array.null_count == 0:
        return offsets
    compute: Any = pc
    joined: pa.Array[Any] = pa.concat_arrays(
        [compute.replace_with_mask(offsets[:-1], array.is_null(), nulls(len(array), offsets.type)), offsets[-1:]]
    )
    return joined


def is_list(kind: pa.DataType) -> bool:
    """Lists of any length."""
    import pyarrow as pa

    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def is_nested(kind: pa.DataType) -> bool:
    """Lists and structs."""
    import pyarrow as pa

    return pa.types.is_nested(kind)


def words(kind: object) -> str:
    """An Arrow type in the words of JSON."""
    import pyarrow as pa

    if not isinstance(kind, pa.DataType):
        return str(kind)
    if pa.types.is_struct(kind):
        return "object"
    if is_list(kind):
        return "list"
    if is_number(kind):
        return "number"
    return {"bool": "boolean", "large_string": "string"}.get(str(kind), str(kind))
