"""Croissant 1.0 metadata (JSON-LD, mlcommons.org/croissant/1.0) of instruction data in JSON Lines files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tuner import io
from tuner.card import MAGPIE, TAGS

# The standard's own context: readers compare it key by key.
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def metadata(
    *,
    name: str,
    description: str,
    license: str,
    files: Mapping[str, Path],
    language: str | None,
    limits: Sequence[str] = (),
    collection: str | None = None,
    url: str | None = None,
    creator: str | None = None,
    published: str | None = None,
) -> dict[str, Any]:
    """Croissant 1.0 metadata (JSON-LD) of JSON Lines files, one record set a split, with the RAI vocabulary's limits.

    ``files``: split -> an existing file; its bytes are hashed, and it is named relative to the metadata, in the same
    folder. ``collection`` says how the rows came about. ``url``, ``creator`` (an organisation) and ``published``
    (YYYY-MM-DD) are wanted by the standard and known only to whoever publishes the data; None leaves them out.
    """
    optional = {
        "inLanguage": language,
        "url": url,
        "creator": creator and {"@type": "sc:Organization", "name": creator},
        "datePublished": published,
        "rai:dataCollection": collection,
        "rai:dataLimitations": list(limits),
    }
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": name,
        "description": description,
        "license": license,
        "version": "1.0.0",
        "keywords": TAGS,
        "citeAs": MAGPIE,
        **{key: value for key, value in optional.items() if value},
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": path.name,
                "name": path.name,
                "contentUrl": path.name,
                "contentSize": f"{path.stat().st_size} B",
                "encodingFormat": "application/jsonlines",
                "sha256": io.sha256(path),
            }
            for path in files.values()
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": split,
                "name": split,
                "key": {"@id": f"{split}/id"},
                "field": [
                    _field(split, path.name, "id", _id_type(path), "Number or name of the row."),
                    _messages(split, path.name, "prompt", "What is asked, after earlier turns if there are any."),
                    _messages(split, path.name, "completion", "The answer: one message of the assistant."),
                ],
            }
            for split, path in files.items()
        ],
    }


def _id_type(path: Path) -> str:
    return "sc:Integer" if all(isinstance(row["id"], int) for row in io.read_jsonl(path)) else "sc:Text"


def _field(parent: str, file: str, column: str, kind: str, text: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{parent}/{column}",
        "name": f"{parent}/{column}",
        "description": text,
        "dataType": kind,
        "source": {"fileObject": {"@id": file}, "extract": {"column": column}},
    }


def _messages(split: str, file: str, column: str, text: str) -> dict[str, Any]:
    """A list of {"role", "content"} as a repeated field with two subfields."""
    messages = _field(split, file, column, "cr:Field", text)
    del messages["dataType"], messages["source"]
    parts = {"role": "user or assistant.", "content": "The words."}
    subfields = []
    for key, meaning in parts.items():
        part = _field(f"{split}/{column}", file, key, "sc:Text", meaning)
        part["source"] = {
            "fileObject": {"@id": file},
            "extract": {"column": column},
            "transform": {"jsonPath": key},
        }
        subfields.append(part)
    return messages | {"repeated": True, "subField": subfields}
