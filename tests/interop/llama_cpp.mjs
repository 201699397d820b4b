/*
 * llama_cpp.mjs - what llama.cpp says of a GGUF file
 *
 * node llama_cpp.mjs NODE_MODULES QUESTION ANSWER, both files one JSON object:
 *   {"model": PATH, "texts": [...], "windows": [[ids...], ...]}
 *   {"tokens": [[ids...], ...], "nll": sum, "scored": n, "metadata": {...}}
 * The first id of a window is context only. Natural logarithms.
 */
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const entry = path.join(path.resolve(process.argv[2]),
    "node-llama-cpp/dist/index.js");
const { getLlama, readGgufFileInfo } = await import(pathToFileURL(entry).href);
const ask = JSON.parse(fs.readFileSync(process.argv[3], "utf8"));

const llama = await getLlama({ build: "never", gpu: false,
    logLevel: "error", maxThreads: 2 });
const model = await llama.loadModel({ modelPath: ask.model });
const tokens = ask.texts.map((t) => Array.from(model.tokenize(t, true)));

let nll = 0, scored = 0;
if (ask.windows.length > 0) {
    const longest = Math.max(...ask.windows.map((w) => w.length));
    const context = await model.createContext({ contextSize: longest,
        batchSize: 512, sequences: 1 });
    const sequence = context.getSequence();
    for (const ids of ask.windows) {
        await sequence.clearHistory();
        /* asking for the next token's logit gives the log-softmax by parts */
        const input = ids.map((id, i) => i + 1 === ids.length ? id : [id, {
            generateNext: { totalLogitWeight: true, logits: { filter: {
                tokens: [ids[i + 1]], includeTop: 1 } } } }]);
        const out = await sequence.controlledEvaluate(input);
        for (let i = 0; i + 1 < ids.length; i++) {
            const { logits, totalLogitWeight } = out[i].next;
            const top = Math.max(...logits.values());
            nll += top + Math.log(totalLogitWeight) - logits.get(ids[i + 1]);
            scored++;
        }
    }
    await context.dispose();
}
const info = await readGgufFileInfo(ask.model, { logWarnings: false });
fs.writeFileSync(process.argv[4], JSON.stringify({ tokens, nll, scored,
    metadata: { general: info.metadata.general,
        tensors: info.fullTensorInfo.length } },
    (k, v) => typeof v === "bigint" ? Number(v) : v));
process.exit(0);
