"""Loaded by every process of the replicas under test: what takes a minute elsewhere takes three seconds here."""

from datetime import timedelta

import recorder.runners
import recorder.uploading

import api.worker
import recorder.capture
import recorder.delivery
import recorder.erasure
import recorder.jobs
import recorder.sources

MINUTE, THIRD = timedelta(seconds=3), 1.0

recorder.uploading.LEASE = recorder.sources.LEASE = recorder.delivery.LEASE = recorder.erasure.TURN = MINUTE
recorder.runners.LEASE_SECONDS = MINUTE.seconds
recorder.uploading.RENEW_AFTER_S = THIRD
recorder.jobs.RENEW_SECONDS = 1
recorder.capture.WHILE_AWAY = timedelta(seconds=1)
recorder.sources.FIRST_WAIT_S = recorder.sources.LONGEST_WAIT_S = 1
api.worker.FIRST_PAUSE = api.worker.LONGEST_PAUSE = THIRD
