"""What tools/analysis_tools works out: logs, sweeps, comparisons at equal budgets."""
