// What a job's state is called and said to people. Pure.

import { inWords } from "./rules.js";

export const DEFAULT_PROFILE = "default";

export const isOver = (job) => job.status === "completed" || job.status === "failed";

const BADGES = {
  Pending: "Waiting", Queued: "Waiting", Starting: "Starting", Running: "Rendering", Uploading: "Saving",
  Succeeded: "Done", Failed: "Failed", Cancelled: "Cancelled",
};

const STAGES = {
  Loading: "Loading the model", Encoding: "Reading the prompt", Denoising: "Rendering", Decoding: "Making the frames", Uploading: "Saving",
};

export const badgeOf = (job) => BADGES[job.phase] ?? job.phase;

/** What is going on, in a few words. */
export function lineOf(job) {
  if (job.status === "completed") return "";
  if (job.status === "failed") return job.phase === "Cancelled" ? "Cancelled before the end" : job.message || job.reason || "It failed";
  const eta = job.eta_seconds ? ` · about ${inWords(job.eta_seconds)} left` : "";
  if (job.status === "pending") {
    if (job.queue_position === null) return "Held back";
    return (job.queue_position === 1 ? "Next in line" : `Number ${job.queue_position} in line`) + eta;
  }
  const progress = job.progress;
  if (!progress) return `Starting${eta}`;
  const step = progress.step && progress.steps ? ` · step ${progress.step} of ${progress.steps}` : "";
  return `${STAGES[progress.stage] ?? progress.stage}${step}${eta}`;
}

const ORDINARY = new Set(["Accepted", "WaitingForPod", "Starting", "Rendering", "Uploading", "Completed", "Cancelled"]);

/** Why a job that has not ended does not get on, or "". */
export function troubleOf(job) {
  if (isOver(job) || !job.reason || ORDINARY.has(job.reason)) return "";
  return job.message || job.reason;
}

/** What can be done about a job that failed or does not get on, or "". */
export const hintOf = (job) => ((job.phase === "Failed" || troubleOf(job)) && job.hint) || "";

/** The settings of a request that people compare. */
export function factsOf(job) {
  const request = job.request ?? {};
  return [
    job.model ?? request.model,
    request.width && request.height ? `${request.width} × ${request.height}` : null,
    request.num_frames ? `${request.num_frames} frames` : null,
    request.image ? "from an image" : null,
    request.profile && request.profile !== DEFAULT_PROFILE ? `profile ${request.profile}` : null,
    request.seed === undefined ? null : `seed ${request.seed}`,
  ].filter(Boolean);
}
