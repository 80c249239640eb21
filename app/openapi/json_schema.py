"""JSON schemas of pydantic models in the dialect of OpenAPI 3.0, which all generators read."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema


class OpenApiJsonSchema(GenerateJsonSchema):
    """Generate schemas without what is new in OpenAPI 3.1.

    A field whose default is None is one that may be absent and is never null; one that may be null
    has no default.
    """

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Return the schema of a field with a default."""
        inner_schema: Any = schema["schema"]
        if schema.get("default", ...) is None and inner_schema["type"] == "nullable":
            return self.generate_inner(inner_schema["schema"])
        return super().default_schema(schema)

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """Return the schema of a value that may be null."""
        json_schema = self.generate_inner(schema["schema"])
        if "$ref" in json_schema:  # beside which OpenAPI 3.0 ignores all else
            json_schema = {"allOf": [json_schema]}
        return {**json_schema, "nullable": True}

    def literal_schema(self, schema: core_schema.LiteralSchema) -> JsonSchemaValue:
        """Return the schema of one of several constants."""
        json_schema = super().literal_schema(schema)
        if "const" in json_schema:
            json_schema["enum"] = [json_schema.pop("const")]
        return json_schema

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Return False: a title says no more than the name of the field."""
        return False
