#!/bin/sh
# Stands for the window that asks a person: prints $ASKPASS_ANSWER, agrees if $ASKPASS_EXIT is 0.
echo "${ASKPASS_ANSWER-}"
exit "${ASKPASS_EXIT:-0}"
