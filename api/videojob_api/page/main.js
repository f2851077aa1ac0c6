// Puts the page together: the composer, the gallery, the viewer, and the address of one job (#job=…).

import { call } from "./api.js";
import { Composer } from "./composer.js";
import { byId, say } from "./element.js";
import { Gallery } from "./gallery.js";
import { forgetKey, hasKey } from "./key.js";
import { Viewer } from "./viewer.js";

const LOAD_MILLISECONDS = 10_000;

const composer = new Composer((jobId) => gallery.refresh(jobId));
const viewer = new Viewer();
const gallery = new Gallery({
  open: (job) => { location.hash = `job=${job.job_id}`; },
  again: (job) => { viewer.close(); composer.again(job); },
});
viewer.actions = gallery.actions;

byId("forget-key").hidden = !hasKey();
byId("forget-key").addEventListener("click", forgetKey);
for (const idea of document.querySelectorAll(".ideas button")) {
  idea.addEventListener("click", () => composer.fill({ prompt: idea.textContent }));
}
addEventListener("hashchange", openFromAddress);

function openFromAddress() {
  const jobId = new URLSearchParams(location.hash.slice(1)).get("job") ?? new URLSearchParams(location.search).get("job");
  if (jobId) viewer.open(jobId);
  else viewer.close();
}

async function showLoad() {
  try {
    const health = await call("health");
    const gpu = health.gpu_usage ? ` · GPU ${Math.round(health.gpu_usage)} %` : "";
    say(byId("load"), `${health.active_jobs} at work or waiting · ${health.completed_jobs} done${gpu}`);
  } catch {
    say(byId("load"), "");
  }
  setTimeout(showLoad, LOAD_MILLISECONDS);
}

await composer.start();
gallery.start();
openFromAddress();
showLoad();
