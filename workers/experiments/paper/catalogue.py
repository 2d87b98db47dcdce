"""All figures and tables of the paper's evaluation, in its order, then those that go beyond it."""

from workers.experiments.paper.beyond import (
    competition,
    misreports,
    mixture,
    payment_variants,
    rival_rules,
    splitting,
    stuffing,
    tau,
)
from workers.experiments.paper.figures import (
    figure_1a,
    figure_1b,
    figure_2,
    figure_3,
    figure_ec1,
    figure_ec2_ec3,
    table_1,
)

FIGURES = {
    figure.name: figure
    for figure in (
        figure_1a.FIGURE,
        figure_1b.FIGURE,
        figure_2.FIGURE_2A,
        figure_2.FIGURE_2B,
        figure_3.FIGURE,
        figure_ec1.FIGURE_1A,
        figure_ec1.FIGURE_1B,
        figure_ec2_ec3.FIGURE_EC2,
        figure_ec2_ec3.FIGURE_EC3,
        table_1.FIGURE,
        tau.FIGURE,
        competition.FIGURE,
        splitting.FIGURE,
        misreports.FIGURE,
        stuffing.FIGURE,
        payment_variants.FIGURE,
        mixture.FIGURE,
        rival_rules.FIGURE,
    )
}
