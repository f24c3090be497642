#!/bin/bash
# Grade one part of a class in each task of an array job, from the project's folder:
#   sbatch --array=1-10 grading/recipes/slurm.sh hw01 submissions graded roster.csv
# When all tasks are done, collect the results:
#   make grade HW=hw01 SUBMISSIONS=submissions OUT=graded ROSTER=roster.csv
#SBATCH --cpus-per-task=2
#SBATCH --mem=8G
#SBATCH --time=01:00:00
set -euo pipefail
.venv/bin/python -m grading.grade "$1" "$2" "$3" --roster "$4" --workers 2 \
  --part "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
