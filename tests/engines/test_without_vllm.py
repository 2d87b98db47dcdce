"""Where vLLM is not installed, its name says how to install it."""

import pytest

from tests.engines import bundled
from workers.engines.catalogue import open_engine
from workers.errors import MissingProgram


@pytest.mark.skipif(bundled.vllm_is_installed(), reason="vLLM is installed here")
async def test_the_install_line_is_said() -> None:
    with pytest.raises(MissingProgram, match=r"infra/bootstrap\.py vllm"):
        await open_engine(bundled.VLLM, bundled.OPTIONS)
