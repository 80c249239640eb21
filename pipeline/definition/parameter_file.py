"""Read a YAML file of parameters: scalars stay texts, as what 007 means is up to the annotation.

So a value means the same in a file and on the command line. Only YAML's null is no text.
"""

import codecs
import shlex
from pathlib import Path
from typing import Any

import yaml

from pipeline.definition.parameters import QuotedText

TAG_PREFIX = "tag:yaml.org,2002:"
SCALAR_TAGS = ("null", "bool", "int", "float", "timestamp", "str", "value", "merge")


def read_parameter_file(path: Path) -> dict[str, Any]:
    """Return the content of the file: name -> text, None, or a list or dictionary of such.

    Raises ValueError that names the file, and the line where there is one.
    """
    try:
        node = yaml.compose(_read_text(path), yaml.SafeLoader)
        content = None if node is None else _construct(node)
    except OSError as error:
        raise ValueError(f"--params {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"--params {path} is not valid YAML: {error}") from None
    except _ContentError as error:
        raise ValueError(f"--params {path}, {error}") from None
    except RecursionError:
        raise ValueError(
            f"--params {path}: a value contains itself, or is nested too deeply"
        ) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ValueError(f"--params {path}: expected NAME: VALUE, or STEP: {{NAME: VALUE}}")
    return content


class _ContentError(Exception):
    """Raised for content that no parameter can have; begins with the line."""


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1


def _construct(node: yaml.Node) -> Any:
    kind = node.tag.removeprefix(TAG_PREFIX)
    if isinstance(node, yaml.MappingNode) and kind == "map":
        return _construct_mapping(node)
    if isinstance(node, yaml.SequenceNode) and kind == "seq":
        return [_construct(item) for item in node.value]
    if isinstance(node, yaml.ScalarNode) and kind in SCALAR_TAGS:
        if kind == "null":
            return None
        # a tag !!str says the same as quotes
        is_quoted = node.style is not None or (kind == "str" and _resolves_to_other(node))
        return QuotedText(node.value) if is_quoted else node.value
    raise _ContentError(f"line {_line(node)}: {node.tag} is not supported as a value")


def _resolves_to_other(node: yaml.ScalarNode) -> bool:
    """Return whether the plain text would be no text in YAML."""
    resolver = yaml.SafeLoader("")
    return resolver.resolve(yaml.ScalarNode, node.value, (True, False)) != node.tag


def _construct_mapping(node: yaml.MappingNode) -> dict[str, Any]:
    content: dict[str, Any] = {}
    merged: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for key_node, value_node in node.value:
        if key_node.tag == f"{TAG_PREFIX}merge":
            merged = _merge(value_node) | merged
            continue
        key = key_node.value
        if not isinstance(key_node, yaml.ScalarNode) or not key:
            raise _ContentError(f"line {_line(key_node)}: a name is no text")
        if key in content:
            raise _ContentError(
                f"line {_line(key_node)}: {key} is there already, in line {lines[key]}; "
                "delete one of the two"
            )
        content[key], lines[key] = _construct(value_node), _line(key_node)
    return merged | content


def _merge(node: yaml.Node) -> dict[str, Any]:
    """Return the entries that a key << adds; of several mappings the first wins."""
    merged: dict[str, Any] = {}
    for mapping in node.value if isinstance(node, yaml.SequenceNode) else [node]:
        if not isinstance(mapping, yaml.MappingNode):
            raise _ContentError(f"line {_line(mapping)}: << expects a mapping, as by *name")
        merged = _construct_mapping(mapping) | merged
    return merged


def _read_text(path: Path) -> str:
    raw = path.read_bytes()
    is_utf16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return raw.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        source = shlex.quote(str(path))
        target = shlex.quote(str(path.with_stem(f"{path.stem}-utf8")))
        raise ValueError(
            f"--params {path}, line {line}: expected UTF-8, but the byte 0x{raw[error.start]:02x} "
            "is not valid there; if the file is Latin-1, as older editors write it, convert it "
            f"with: iconv -f LATIN1 -t UTF-8 {source} > {target}"
        ) from None
