"""Where vLLM is not installed, its name says how to install it."""

from importlib.util import find_spec

import pytest

from tests.engines import bundled
from workers.engines.catalogue import open_engine
from workers.engines.vllm_local import IMPORTS_VLLM
from workers.errors import MissingProgram


@pytest.mark.skipif(bundled.vllm_is_installed(), reason="vLLM is installed here")
async def test_without_vllm_the_error_gives_the_install_command() -> None:
    with pytest.raises(MissingProgram, match=r"infra/bootstrap\.py vllm"):
        await open_engine(bundled.VLLM, bundled.OPTIONS)


def test_without_vllm_its_tests_are_skipped_by_default_and_fail_where_everything_is_tested(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bundled, "vllm_is_installed", lambda: False)
    for variable, ends in (("", pytest.skip.Exception), ("true", pytest.fail.Exception)):
        monkeypatch.setenv("CI", variable)
        with pytest.raises(ends, match="not installed"):
            bundled.need_vllm()


def test_the_module_that_imports_vllm_is_where_its_package_says() -> None:
    assert find_spec(IMPORTS_VLLM)
