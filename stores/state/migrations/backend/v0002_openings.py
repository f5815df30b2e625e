"""Whose traces a site's samples hold; who opened the restricted bucket together, why and until when."""

import sqlalchemy as sa
from alembic import op

revision = "backend_0002"
down_revision = "backend_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them."""
    op.add_column("sites", sa.Column("population", sa.BigInteger(), nullable=True))
    op.create_table(
        "openings",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("length_s", sa.BigInteger(), nullable=False),
        sa.Column("requested_s", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_by", sa.Text(), nullable=True),
        sa.Column("confirmed_s", sa.BigInteger(), nullable=True),
        sa.Column("confirmed_ns", sa.BigInteger(), nullable=True),
        sa.Column("ended_s", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
