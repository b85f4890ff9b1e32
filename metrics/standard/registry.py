"""Every metric by its name: whatever stands in catalogue/."""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from metrics.standard import catalogue
from metrics.standard.metric import Metric


def _discovered() -> Mapping[str, Metric]:
    found = [import_module(f"{catalogue.__name__}.{module.name}").METRIC for module in iter_modules(catalogue.__path__)]
    return MappingProxyType({metric.name: metric for metric in sorted(found, key=lambda metric: metric.name)})


METRICS: Mapping[str, Metric] = _discovered()
