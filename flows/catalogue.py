"""What a recipe can name: the plug-ins of a kind with their columns and parameters, as values and as lines."""

from typing import Any

from pipeline import plugins


def plugins_of(kind: str) -> list[dict[str, Any]]:
    """Every plug-in of a kind: `name`, `description`, `columns` (name to description), `limits` and `parameters`.

    A scorer's `limits` are its default ones by column, each `min`, `max` or both.
    A parameter has a `description` and a `default` (JSON; absent where the recipe must give a value).
    """
    if kind in ("methods", "metrics", "exports"):  # they have neither; settings are keys of the recipe
        told = {name: plugins.facts(kind, name)["DESCRIPTION"] for name in plugins.names(kind)}
        return [
            {"name": name, "description": one, "columns": {}, "limits": {}, "parameters": {}}
            for name, one in told.items()
        ]
    found = []
    for name, module in plugins.load_all(kind).items():
        described = getattr(module, "DESCRIPTION", None) or (module.__doc__ or "").partition("\n")[0]
        params = getattr(module, "Params", None)
        schema = params.model_json_schema()["properties"] if params and params.model_fields else {}
        adds = getattr(module, "ADDS", [])
        found.append(
            {
                "name": name,
                "description": described,
                "columns": {one.name: (one.metadata or {}).get(b"description", b"").decode() for one in adds},
                "limits": getattr(module, "LIMITS", {}),
                "parameters": {
                    key: {word: one[word] for word in ("description", "default") if word in one}
                    for key, one in schema.items()
                },
            }
        )
    return found


def plugins_text(found: list[dict[str, Any]]) -> str:
    """Plug-ins in lines: columns that `select` can name, and parameters with their defaults."""
    parts = []
    for one in found:
        lines = [f"{one['name']}: {one['description']}"]
        told = {name: text + _told(one["limits"].get(name)) for name, text in one["columns"].items()}
        for name, parameter in one["parameters"].items():
            default = f" = {parameter['default']}" if parameter.get("default") not in (None, "") else ""
            told[f"{name}{default}"] = parameter.get("description", "")
        width = max(map(len, told), default=0)
        for number, (name, text) in enumerate(told.items()):
            if number in (0, len(one["columns"])):
                lines.append("  columns" if number < len(one["columns"]) else "  parameters")
            lines.append(f"    {name:<{width}}  {text}")
        parts.append("\n".join(lines))
    return ("\n\n" if any("\n" in part for part in parts) else "\n").join(parts)


def _told(limit: dict[str, float] | None) -> str:
    """A default limit in words, to stand behind a column's description."""
    if limit is None:
        return ""
    return f" (default limit: {' and '.join(f'{word} {value:g}' for word, value in limit.items())})"
