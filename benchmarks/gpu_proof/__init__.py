"""The parts of tools/analysis_tools/gpu_proof.sh, each run in a process of its own."""
