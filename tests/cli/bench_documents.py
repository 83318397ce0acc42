"""Documents of `mlpack bench --json` with noise as measured machines have it: what the page is tried with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

Json = dict[str, Any]

NAMES = (
    "mobilenet-v3-small-fp32.onnx", "mobilenet-v3-small-int8.onnx", "exports/2026-11/keyword-spotting-dscnn.tflite",
    "gesture.onnx", "tabular-hgb.onnx", "tabular-hgb.tflite", "yolo-nano-320.onnx", "bert-tiny-dynamic-int8.onnx",
    "resnet50-v1-12.onnx", "anomaly-autoencoder.tflite",
)  # fmt: skip
OPERATORS = ("Conv", "MatMul", "Gemm", "Add", "Relu", "BatchNormalization", "Softmax", "Reshape", "Transpose", "Concat")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def bench_document(
    models: Sequence[str] = NAMES, p50_ns: Sequence[float] | None = None, samples: int = 5000, processes: int = 5,
    clean: Sequence[float] | None = None, operators: int = 0, seed: int = 0,
) -> Json:  # fmt: skip
    """A run of `models` on one machine: `processes` x `samples` calls each, interleaved in 10 blocks; `clean` is the share of
    clean calls by model."""
    random = np.random.default_rng(seed)
    medians = p50_ns or [2.41e6 * 1.7 ** (k % 4) * 0.7 ** (k // 3) for k in range(len(models))]
    shares = clean or [0.36 + 0.05 * (k % 5) for k in range(len(models))]
    results = [
        result(name, median, share, samples, processes, operators, random)
        for name, median, share in zip(models, medians, shares, strict=True)
    ]
    comparison = [compared(results[0], other, random) for other in results[1:]]
    return {
        "command": "bench", "ok": True, "schema": 1, "results": results, "comparison": comparison, "gate": None,
        "refused": [],
    }  # fmt: skip


def result(
    name: str, median: float, share: float, samples: int, processes: int, operators: int, random: np.random.Generator
) -> Json:
    """Clean calls scatter by half a percent around a process's own level; the others wait for a time slice now and then."""
    launches = []
    for number in range(processes):
        level = median * (1 + random.normal(0, 0.0015))
        blocks = []
        for _ in range(10):
            undisturbed = random.random(samples // 10) < share
            calls = level * (1 + np.abs(random.normal(0, 0.005, samples // 10)))
            waits = random.lognormal(np.log(0.15 * median), 1.6, samples // 10) * (random.random(samples // 10) < 0.5)
            calls = np.where(undisturbed, calls, calls * 1.01 + waits)
            flags = "".join("1" if flag else "0" for flag in undisturbed)
            blocks.append({"samples_ns": [int(call) for call in calls], "clean": flags})
        launches.append(
            {"round": number, "load_ns": 18_400_000, "first_call_ns": int(median * 23), "peak_rss_bytes": 61_000_000,
             "warm_up_calls": 50, "settled": True, "blocks": blocks}
        )  # fmt: skip
    every = np.array([call for launch in launches for block in launch["blocks"] for call in block["samples_ns"]])
    flags = np.array([flag == "1" for launch in launches for block in launch["blocks"] for flag in block["clean"]])
    isolated = every[flags]
    p50 = float(np.percentile(isolated, 50)) if len(isolated) else None
    return {
        **identity(name, median), "target": "local", "samples": len(every), "processes": processes, "spinning": False,
        "latency_ns": {"p50": float(np.percentile(every, 50)), "p90": float(np.percentile(every, 90)),
                       "p99": float(np.percentile(every, 99)) if len(every) >= 1000 else None, "min": int(every.min())},
        "isolated_ns": {"p50": p50, "p99": float(np.percentile(isolated, 99)) if len(isolated) >= 1000 else None},
        "clean_share": float(flags.mean()), "first_call_ns": int(median * 23), "load_ns": 18_400_000,
        "peak_rss_bytes": 61_000_000, "harness_floor_ns": 2470,
        "verdict": "stable" if flags.mean() >= 0.2 and processes > 1 else "unstable",
        "ci95_ns": None if p50 is None else [p50 * 0.9975, p50 * 1.0025],
        "metric": {"name": "accuracy", "value": round(0.99 - 0.004 * len(name) / 3, 4)},
        "profile": profile(median, operators, random) if operators else None, "instructions": None, "calibrated_ns": None,
        "environment": environment(random), "launches": launches,
    }  # fmt: skip


def identity(name: str, median: float) -> Json:
    return {
        "model": name, "format": name.rpartition(".")[2], "threads": 1, "batch": 1, "bytes": int(median * 1.3),
        "model_sha256": digest(name), "input_digest": digest("input"), "output_digest": digest("output" + name),
        "io": "binding",
    }  # fmt: skip


def environment(random: np.random.Generator) -> Json:
    return {
        "cpu": "AMD EPYC 7B13 64-Core Processor", "arch": "x86_64", "cores": 2,
        "features": ["sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "bmi2"],
        "governor": None, "frequency_mhz": 2449.998, "temperature_c": None, "throttled": None,
        "load_before": round(float(random.uniform(0.2, 0.9)), 2), "load_after": round(float(random.uniform(1.0, 1.9)), 2),
        "kernel": "Linux 6.1.0-28-amd64", "python": "3.11.7", "runtime": {"name": "onnxruntime", "version": "1.31.1"},
        "emulated": None, "machine_id": digest("machine")[:16],
    }  # fmt: skip


def profile(median: float, operators: int, random: np.random.Generator) -> list[Json]:
    shares = np.sort(random.dirichlet(np.full(operators, 0.35)))[::-1]
    return [
        {"name": f"/features/features.{k}/block/{k % 4}/{OPERATORS[k % 10]}_{k}", "op": OPERATORS[k % 10], "calls": 100,
         "ns": float(share * median), "share": float(share)}
        for k, share in enumerate(shares)
    ]  # fmt: skip


def compared(a: Json, b: Json, random: np.random.Generator) -> Json:
    stable = a["verdict"] == b["verdict"] == "stable"
    view = "isolated_ns" if stable else "latency_ns"
    ratio = b[view]["p50"] / a[view]["p50"]
    half = float(random.uniform(1.002, 1.006)) if stable else 1.09
    low, high = ratio / half, ratio * half
    verdict = "unclear"
    if low > 1.02:
        verdict = "slower"
    elif high < 1 / 1.02:
        verdict = "faster"
    elif low >= 1 / 1.02 and high <= 1.02:
        verdict = "no difference"
    return {
        "a": a["model"], "b": b["model"], "ratio": ratio, "ci95": [low, high], "verdict": verdict if stable else "unclear",
        "view": "isolated" if stable else "experienced",
    }  # fmt: skip


def emulated_document(models: Sequence[str] = NAMES[:2], calibrated: bool = False) -> Json:
    """A run on emulated:pi4: instruction counts, and nothing that speaks of time but a calibrated range."""
    random = np.random.default_rng(1)
    results = []
    for number, name in enumerate(models):
        total = int(31_459_265 * 0.71**number)
        results.append(
            {**identity(name, 2e6), "target": "emulated:pi4", "samples": None, "processes": 2, "spinning": None,
             "latency_ns": None, "isolated_ns": None, "clean_share": None, "first_call_ns": None, "load_ns": None,
             "peak_rss_bytes": None, "harness_floor_ns": None, "verdict": None, "ci95_ns": None, "metric": None,
             "profile": None, "launches": [],
             "instructions": {"total": total, "simd": total * 6 // 10, "multiply_add": total * 3 // 10,
                              "dot_product": 0 if number == 0 else total // 9, "loads": total // 4, "stores": total // 12},
             "calibrated_ns": {"low": 3.1e6, "high": 4.2e6, "spread": 1.35, "board": "Raspberry Pi 4 Model B", "date": "2026-11-20"} if calibrated else None,
             "environment": {**environment(random), "cpu": "cortex-a72", "arch": "aarch64", "emulated": "qemu-user"}}
        )  # fmt: skip
    totals = [one["instructions"]["total"] for one in results]
    comparison = [
        {"a": models[0], "b": name, "ratio": total / totals[0], "ci95": [total / totals[0]] * 2,
         "verdict": "faster", "view": "instructions"}
        for name, total in zip(models[1:], totals[1:], strict=True)
    ]  # fmt: skip
    return {
        "command": "bench", "ok": True, "schema": 1, "results": results, "comparison": comparison, "gate": None,
        "refused": [],
    }  # fmt: skip


def tool_document() -> Json:
    """What a tool that prints summaries gives: no samples, no isolated figures, never stable."""
    document = bench_document(NAMES[2:4], samples=20, processes=3)
    for one in document["results"]:
        one |= {"target": "adb:serial", "clean_share": None, "ci95_ns": None, "verdict": "unstable",
                "isolated_ns": {"p50": None, "p99": None}, "verdict_why": "the tool prints summaries, not samples"}  # fmt: skip
        one["latency_ns"] |= {"p90": None, "p99": None}
        for launch in one["launches"]:
            middle = one["latency_ns"]["p50"] * (1 + 0.01 * launch["round"])
            launch["blocks"] = []
            launch["summary_ns"] = {"count": 50, "p5": middle * 0.98, "p50": middle, "p90": None, "p95": middle * 1.3}
    for pair in document["comparison"]:
        pair |= {"view": "experienced", "verdict": "unclear"}
    return document


def estimated_document() -> Json:
    """What a simulator of an accelerator gives of two models."""
    document = emulated_document(NAMES[2:4])
    for number, one in enumerate(document["results"]):
        left = [{"op": "SOFTMAX", "count": 2, "reason": "its input is a float"}]
        one |= {"target": "ethos-u:ethos-u55-128", "instructions": None}
        one["estimate"] = {
            "cycles": 812_345 - 100_000 * number,
            "sram_bytes": 91_136,
            "macs": 2_650_000,
            "cpu_share": 0.0213,
        }
        one["estimate"] |= {"covers": "the part on the NPU", "left_on_cpu": left}
        one["environment"] |= {"emulated": "vela", "system_config": "Ethos_U55_High_End_Embedded"}
    document["comparison"][0] |= {"ratio": 712_345 / 812_345, "ci95": [712_345 / 812_345] * 2, "view": "cycles"}
    return document
