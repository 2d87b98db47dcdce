"""What the transactional writer takes for granted of aiokafka's release."""

import aiokafka
from aiokafka.producer import sender

from workers.stream import writer


def test_the_constant_between_transactions_exists_and_is_ours() -> None:
    assert aiokafka.__version__ == "0.14.0"
    assert sender.BACKOFF_OVERRIDE == writer.PAUSE_BETWEEN_TRANSACTIONS_S == 0.002
