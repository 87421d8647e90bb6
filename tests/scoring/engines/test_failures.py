"""The sentences about clusters that are not there and packages that are not installed."""

import sys
from importlib import import_module

import pytest

from crossent.errors import MissingExtraError, OptionError
from crossent.scoring.engines.failures import refuse_silent


@pytest.mark.parametrize(("engine", "package"), [("dask", "distributed"), ("ray", "ray"), ("spark", "pyspark")])
def test_a_missing_package_is_one_sentence(engine: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, f"crossent.scoring.engines.{engine}", raising=False)
    for name in [name for name in sys.modules if name.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError) as caught:
        import_module(f"crossent.scoring.engines.{engine}")
    assert str(caught.value) == (
        f"engine='{engine}' needs what is not installed (import of {package} halted; None in sys.modules): "
        f"pip install 'crossent[{engine}]'"
    )


@pytest.mark.parametrize("address", ["local[2]", "auto", "yarn", "inproc://"])
def test_an_address_without_a_port_is_left_to_its_engine(address: str) -> None:
    refuse_silent(address, "Spark")


def test_a_port_that_cannot_be_is_refused() -> None:
    with pytest.raises(OptionError) as caught:
        refuse_silent("tcp://127.0.0.1:99999", "Dask")
    assert str(caught.value) == (
        "`address` must be that of a running Dask cluster, 'tcp://127.0.0.1:99999' is not: 99999 is no port"
    )
