"""Traps of quantization, and the test that holds each down: what the usual tools do wrong without an error.

Every line below that begins with `-` is a trap; the tests under it exist, or this file fails.

Tables
- a net on raw columns loses a quarter of its accuracy under static codes, whatever the method of calibration
    converters/quantization/traps/test_ranges.py::test_a_net_on_raw_columns_keeps_its_accuracy_under_every_method
    converters/quantization/static/test_traps.py::test_raw_columns_of_unlike_size_keep_their_meaning
    cli/test_quantize.py::test_a_net_on_raw_columns_of_unlike_magnitude_keeps_its_accuracy
- the one normalization in front has to stay float, and is quantized
    converters/quantization/static/test_traps.py::test_a_scaler_in_front_stays_float_and_outside
    converters/quantization/lite/test_static.py::test_a_scaler_stays_outside_the_codes
- one column of large numbers takes the whole scale of the input in TFLite, and scales of each call lose the others, too
    converters/quantization/traps/test_ranges.py::test_a_net_on_raw_columns_keeps_its_accuracy_under_every_method
    converters/quantization/lite/test_stored.py::test_the_columns_of_a_table_keep_their_own_magnitude
    converters/quantization/stored/test_schemes.py::test_products_with_the_columns_of_a_table_are_not_on_codes
    converters/quantization/lite/test_borders.py::test_a_scaler_outside_the_codes_refuses_int8_inputs_by_name

Judging
- layers, and kinds of operators, that are fine alone ruin a model together
    converters/quantization/search/test_real_nets.py::test_two_layers_that_are_harmless_alone_and_ruin_a_net_together
    converters/quantization/search/test_real_nets.py::test_small_errors_of_many_layers_add_up_and_only_the_whole_shows_it
    converters/quantization/search/test_search.py::test_layers_that_are_harmless_alone_and_ruin_the_model_together_are_caught
- the default set of operators keeps a quarter of the labels, the weighted ones alone keep them
    converters/quantization/search/test_search.py::test_operator_sets_and_methods_come_before_layers
- boxes and scores share one scale in a Concat
    converters/quantization/static/test_traps.py::test_boxes_and_scores_that_end_in_one_concat_do_not_share_a_grid
    converters/quantization/traps/test_ranges.py::test_boxes_and_scores_share_no_scale_in_tflite
- the error of a whole output hides the scores beside the boxes
    converters/quantization/judging/test_slices.py::test_a_score_column_beside_boxes_counts_and_a_class_that_never_occurs_blocks_nothing
    converters/quantization/judging/test_judge.py::test_a_score_column_beside_boxes_is_found_as_the_worst_slice
- labels are right and scores off by .85
    converters/quantization/traps/test_ranges.py::test_scores_that_are_far_off_break_the_budget_though_every_label_is_right
    converters/quantization/judging/test_judge.py::test_labels_are_judged_by_the_metric_and_agreement_is_told_beside_it
    cli/test_quantize_cautions.py::test_noise_that_the_labels_do_not_see_is_said
- a conversion that "succeeded" is off by thousands
    converters/quantization/test_job.py::test_a_file_is_proven_against_its_source_by_the_budget
    converters/quantization/judging/test_judge.py::test_a_candidate_that_gives_no_number_once_loses_everything
- the accuracy is gone, and nothing says in which layer
    converters/quantization/search/test_search.py::test_what_layers_cost_can_be_asked_for_where_none_goes_back
    converters/quantization/search/test_search.py::test_the_one_layer_that_loses_goes_back_to_float_and_no_other

Calibration
- ranges that are moving averages cut off what is rare
    converters/quantization/calibration/test_calibrate.py::test_one_extreme_row_in_the_first_batch_is_not_averaged_away
- a method silently leaves 10 % of ten classes
    converters/quantization/traps/test_ranges.py::test_no_method_of_calibration_costs_an_ordinary_net_its_accuracy
    converters/quantization/calibration/test_clipping.py::test_the_methods_are_those_that_the_command_names
- calibration on a thousand images takes 100 GB
    converters/quantization/calibration/test_calibrate.py::test_many_large_images_take_little_memory
    converters/quantization/calibration/test_calibrate.py::test_tensors_that_are_large_together_are_not_held_together

Files
- the usual pre-processing fails on real models
    converters/quantization/prepared/test_prepare.py::test_a_net_on_which_the_usual_preprocessing_fails_is_prepared
    converters/quantization/prepared/test_prepare.py::test_nets_of_the_onnx_package_are_prepared_without_a_note
- simplifiers drop an input or change a shape
    converters/quantization/prepared/test_prepare.py::test_a_step_that_changes_an_answer_is_left_out_and_noted
- scales a channel below opset 13 make an invalid file
    converters/quantization/traps/test_forms.py::test_a_model_of_an_old_opset_gets_a_scale_a_channel_in_a_valid_file
    converters/quantization/static/test_traps.py::test_scales_a_channel_are_refused_below_opset_13
    converters/quantization/stored/test_schemes.py::test_scales_a_channel_below_opset_13_come_with_a_newer_opset
- shapes that an exporter left in the graph are stale
    converters/quantization/traps/test_forms.py::test_shapes_that_an_exporter_left_behind_do_not_reach_the_file
    converters/quantization/prepared/test_prepare.py::test_stale_shapes_of_an_exporter_are_replaced_by_inferred_ones
- the newest opset and IR are refused by ONNX Runtime
    converters/quantization/traps/test_forms.py::test_the_newest_opset_and_ir_are_brought_to_what_onnx_runtime_opens
    converters/test_onnx_source.py::test_an_opset_too_new_for_onnx_runtime_is_lowered
- weights are widened until a bias fits int32 (QDQDisableWeightAdjustForInt32Bias), or the bias wraps
    converters/quantization/traps/test_forms.py::test_a_channel_whose_bias_needs_a_larger_scale_leaves_those_of_the_others
    converters/quantization/static/test_traps.py::test_a_bias_far_above_its_weights_does_not_overflow_32_bits
- MatMulNBits does nothing with Gemm, without a word
    converters/quantization/stored/test_schemes.py::test_large_products_are_on_codes_where_onnx_runtime_sees_them_and_float_where_not
- half floats drop a text detector
    converters/quantization/traps/test_forms.py::test_half_floats_are_stored_and_never_computed_with
    converters/quantization/stored/test_schemes.py::test_float16_is_only_how_constants_are_stored
- a file that the checker passes does not open
    converters/quantization/stored/test_schemes.py::test_a_model_that_the_checker_passes_and_no_session_opens_is_refused
- uint8 files abort the interpreter of TFLite, and quantized ONNX is not lowered at all
    converters/tflite_from_onnx/test_quantized.py::test_unsigned_activations_are_held_as_signed_ones
    converters/tflite_from_onnx/test_quantized.py::test_answers_are_those_of_onnx_runtime_to_a_few_steps
- a file says that its batch is open, and is wrong at batch 2
    converters/quantization/lite/test_static.py::test_one_interpreter_takes_batches_of_any_size

Speed, and where it runs
- int8 is slower than float, and written all the same
    cli/test_quantize.py::test_a_file_that_is_slower_is_not_written
    cli/test_quantize.py::test_a_file_that_is_not_smaller_is_not_written
- convolutions on scales of each call are slower than float
    converters/quantization/traps/test_forms.py::test_convolutions_on_scales_of_each_call_are_in_no_file
    converters/quantization/stored/test_schemes.py::test_convolutions_stay_float_in_scheme_dynamic
    converters/quantization/lite/test_stored.py::test_hybrid_kernels_are_those_that_are_faster
- activations of 16 bits are 8 to 20 times slower
    converters/quantization/traps/test_forms.py::test_no_file_computes_with_activations_of_16_bits
- codes with a sign are slow on x86, and those without on ARM
    converters/quantization/test_job.py::test_arm_and_tflite_compute_with_int8_and_x86_with_uint8
- x86 without VNNI saturates: a laptop tells an accuracy that the device does not have
    converters/quantization/static/test_exact_sums.py::test_no_pair_of_a_dense_layer_can_saturate
    converters/quantization/static/test_exact_sums.py::test_processors_with_and_without_vnni_give_the_same_bits
    converters/quantization/stored/test_schemes.py::test_sums_of_two_products_fit_16_bits_where_that_is_asked_for
    devices/emulation/test_check_there.py::test_sums_that_saturate_without_vnni_are_found_and_the_way_out_is_named
- kernels of TFLite differ by a step from each other
    converters/tflite_from_onnx/test_quantized.py::test_reference_kernels_agree
- Arm's compiler takes a float model, exits 0 and tells a time of 0
    devices/test_vela.py::test_a_float_model_is_unsupported_and_never_zero_cycles
    devices/test_ethos_u.py::test_a_float_model_is_unsupported_and_the_others_go_on
    converters/quantization/traps/test_forms.py::test_what_an_npu_gets_has_no_float_product
    converters/quantization/lite/test_borders.py::test_an_ethos_u_runs_all_of_it
"""

from __future__ import annotations

import re
from importlib import import_module

import pytest

_LINES = (__doc__ or "").splitlines()
_TESTS = sorted({line.strip() for line in _LINES if line.startswith("    ")})


@pytest.mark.parametrize("name", _TESTS, ids=lambda name: name.rpartition("::")[2])
def test_each_test_that_the_table_names_exists(name: str) -> None:
    found = re.fullmatch(r"([\w/]+/(test_\w+))\.py::(test_\w+)", name)
    assert found, name
    module = import_module(f"tests.{found[1].replace('/', '.')}")
    assert callable(getattr(module, found[3]))


def test_each_trap_of_the_table_has_a_test() -> None:
    traps = [place for place, line in enumerate(_LINES) if line.startswith("- ")]
    assert len(traps) > 25
    assert all(_LINES[place + 1].startswith("    ") for place in traps)
