"""The base of every stage's configuration: typed, immutable, strict about names and ranges."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A stage's configuration; unknown names, values out of range and numbers not finite are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
