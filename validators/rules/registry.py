"""Every rule, by code. The only place where a code is written; a code is never used again for another rule."""

from __future__ import annotations

from collections.abc import Mapping

from validators.findings import Severity
from validators.model import Outcome
from validators.rules import audio, budget, config, dataset_info, form, image, media, tags, turns, video
from validators.rules.rule import Depth, Rule, Scope, Stage

E, W, N = Severity.ERROR, Severity.WARNING, Severity.NOTE
LOAD, STEP, DROP, CUT = Outcome.CRASH_LOAD, Outcome.CRASH_STEP, Outcome.DROPPED, Outcome.TRUNCATED
ALTERED = Outcome.ALTERED
RUN, DATASET, ROW, MEDIA = Scope.RUN, Scope.DATASET, Scope.ROW, Scope.MEDIA
HEADER = Depth.HEADER

FAMILIES: Mapping[str, str] = {
    "AUD": "sound",
    "BUD": "lengths in tokens",
    "CFG": "train and merge yaml",
    "DSI": "dataset_info.json",
    "FRM": "form of rows",
    "IMG": "pictures",
    "MED": "media paths and files",
    "TAG": "placeholders and media",
    "TRN": "turns and roles",
    "VID": "videos",
}
"""What the letters of a code stand for."""

# fmt: off
RULES: tuple[Rule, ...] = (
    Rule("AUD001", "audio-decoder-missing", E, DATASET, Stage.MEDIA, LOAD, audio.audio_decoder_missing),
    Rule("AUD101", "unreadable-audio", E, MEDIA, Stage.MEDIA, LOAD, audio.unreadable_audio, HEADER),
    Rule("BUD001", "tokenizer-not-found", N, RUN, Stage.TRUNCATE, None, budget.tokenizer_not_found, HEADER),
    Rule("BUD002", "uncounted-rows", N, DATASET, Stage.TRUNCATE, None, budget.uncounted_rows, HEADER),
    Rule("BUD003", "embedded-tokenizer", N, RUN, Stage.TRUNCATE, None, budget.embedded_tokenizer, HEADER),
    Rule("BUD201", "text-truncated", E, ROW, Stage.TRUNCATE, CUT, budget.text_truncated, HEADER),
    Rule("BUD202", "media-truncated", E, ROW, Stage.TRUNCATE, STEP, budget.media_truncated, HEADER),
    Rule("BUD203", "nothing-supervised", E, ROW, Stage.TRUNCATE, CUT, budget.nothing_supervised, HEADER),
    Rule("BUD204", "media-dropped", E, ROW, Stage.TRUNCATE, CUT, budget.media_dropped, HEADER),
    Rule("CFG001", "no-dataset", E, RUN, Stage.READ, LOAD, config.no_dataset),
    Rule("CFG002", "processor-missing", E, DATASET, Stage.VALIDATE, LOAD, config.processor_missing),
    Rule("CFG101", "unknown-key", E, RUN, Stage.READ, LOAD, config.unknown_key),
    Rule("CFG102", "fork-only-key", E, RUN, Stage.READ, LOAD, config.fork_only_key),
    Rule("CFG103", "wrong-value-type", E, RUN, Stage.READ, LOAD, config.wrong_value_type),
    Rule("CFG104", "unknown-template", E, RUN, Stage.READ, LOAD, config.unknown_template),
    Rule("CFG201", "conflicting-settings", E, RUN, Stage.READ, LOAD, config.conflicting_settings),
    Rule("CFG301", "stage-not-replayed", N, RUN, Stage.READ, None, config.stage_not_replayed),
    Rule("DSI001", "undefined-dataset", E, RUN, Stage.READ, LOAD, dataset_info.undefined_dataset),
    Rule("DSI002", "missing-data-file", E, RUN, Stage.READ, LOAD, dataset_info.missing_data_file),
    Rule("DSI003", "missing-column", E, DATASET, Stage.CONVERT, LOAD, dataset_info.missing_column),
    Rule("DSI004", "missing-message-key", E, DATASET, Stage.CONVERT, LOAD, dataset_info.missing_message_key),
    Rule("DSI101", "malformed-entry", E, RUN, Stage.READ, LOAD, dataset_info.malformed_entry),
    Rule("DSI102", "misspelt-column-key", E, DATASET, Stage.CONVERT, None, dataset_info.misspelt_column_key),
    Rule("DSI103", "partial-tags", E, DATASET, Stage.CONVERT, None, dataset_info.partial_tags),
    Rule("DSI104", "unknown-tag-key", W, DATASET, Stage.CONVERT, None, dataset_info.unknown_tag_key),
    Rule("DSI105", "unreadable-file-type", E, RUN, Stage.READ, LOAD, dataset_info.unreadable_file_type),
    Rule("DSI106", "unknown-split", E, RUN, Stage.READ, LOAD, dataset_info.unknown_split),
    Rule("DSI107", "ranking-at-wrong-stage", E, RUN, Stage.READ, LOAD, dataset_info.ranking_at_wrong_stage),
    Rule("DSI108", "eval-dataset-with-val-size", E, RUN, Stage.READ, LOAD, dataset_info.eval_dataset_with_val_size),
    Rule("DSI201", "unmapped-media-column", E, DATASET, Stage.CONVERT, None, dataset_info.unmapped_media_column),
    Rule("DSI301", "unknown-column-key", W, DATASET, Stage.CONVERT, None, dataset_info.unknown_column_key),
    Rule("DSI302", "unchecked-dataset", N, RUN, Stage.READ, None, dataset_info.unchecked_dataset),
    Rule("DSI303", "sampled-dataset", N, RUN, Stage.READ, None, dataset_info.sampled_dataset),
    Rule("FRM001", "empty-dataset", E, DATASET, Stage.READ, LOAD, form.empty_dataset),
    Rule("FRM101", "unreadable-data-file", E, DATASET, Stage.READ, LOAD, form.unreadable_data_file),
    Rule("FRM102", "row-not-an-object", E, ROW, Stage.READ, LOAD, form.row_not_an_object),
    Rule("FRM103", "messages-not-a-list", E, ROW, Stage.CONVERT, LOAD, form.messages_not_a_list),
    Rule("FRM104", "message-not-an-object", E, ROW, Stage.CONVERT, LOAD, form.message_not_an_object),
    Rule("FRM105", "content-not-text", E, ROW, Stage.VALIDATE, LOAD, form.content_not_text),
    Rule("FRM106", "mixed-types-in-column", E, DATASET, Stage.READ, LOAD, form.mixed_types_in_column),
    Rule("FRM107", "schema-changes-later", E, DATASET, Stage.READ, LOAD, form.schema_changes_later),
    Rule("FRM108", "value-retyped-by-loader", W, DATASET, Stage.READ, None, form.value_retyped_by_loader),
    Rule("FRM109", "column-empty-at-first", E, DATASET, Stage.CONVERT, LOAD, form.column_empty_at_first),
    Rule("FRM110", "role-unknown-to-openai", E, ROW, Stage.CONVERT, LOAD, form.role_unknown_to_openai),
    Rule("FRM111", "malformed-tool-call", E, ROW, Stage.CONVERT, LOAD, form.malformed_tool_call),
    Rule("FRM112", "question-not-text", E, ROW, Stage.CONVERT, LOAD, form.question_not_text),
    Rule("FRM113", "answer-not-text", E, ROW, Stage.CONVERT, DROP, form.answer_not_text),
    Rule("FRM114", "kto-label-in-sft", E, ROW, Stage.CONVERT, DROP, form.kto_label_in_sft),
    Rule("FRM115", "media-entry-refused", E, ROW, Stage.MEDIA, LOAD, form.media_entry_refused),
    Rule("FRM116", "all-rows-dropped", E, DATASET, Stage.VALIDATE, LOAD, form.all_rows_dropped),
    Rule("IMG101", "unreadable-image", E, MEDIA, Stage.MEDIA, LOAD, image.unreadable_image, HEADER),
    Rule("IMG201", "image-resized-to-nothing", E, ROW, Stage.MEDIA, LOAD, image.image_resized_to_nothing, HEADER),
    Rule("IMG301", "exif-rotation-ignored", E, MEDIA, Stage.MEDIA, ALTERED, image.exif_rotation_ignored, HEADER),
    Rule("IMG302", "alpha-dropped", E, MEDIA, Stage.MEDIA, ALTERED, image.alpha_dropped, HEADER),
    Rule("IMG303", "high-bit-depth-clipped", E, MEDIA, Stage.MEDIA, ALTERED, image.high_bit_depth_clipped, HEADER),
    Rule("IMG304", "only-first-frame-used", E, MEDIA, Stage.MEDIA, ALTERED, image.only_first_frame_used, HEADER),
    Rule("MED001", "missing-media-file", E, MEDIA, Stage.MEDIA, LOAD, media.missing_media_file, HEADER),
    Rule("MED101", "media-entry-not-a-path", E, MEDIA, Stage.CONVERT, LOAD, media.media_entry_not_a_path),
    Rule("MED201", "media-outside-root", W, MEDIA, Stage.MEDIA, None, media.media_outside_root, HEADER),
    Rule("MED202", "media-not-expandable", E, ROW, Stage.MEDIA, LOAD, media.media_not_expandable, HEADER),
    Rule("MED203", "media-failing-at-step", E, ROW, Stage.TRUNCATE, STEP, media.media_failing_at_step, HEADER),
    Rule("TAG101", "special-token-in-text", E, ROW, Stage.TRUNCATE, STEP, tags.special_token_in_text, HEADER),
    Rule("TAG201", "more-image-tags-than-images", E, ROW, Stage.VALIDATE, LOAD, tags.more_image_tags),
    Rule("TAG202", "fewer-image-tags-than-images", E, ROW, Stage.VALIDATE, LOAD, tags.fewer_image_tags),
    Rule("TAG203", "more-video-tags-than-videos", E, ROW, Stage.VALIDATE, LOAD, tags.more_video_tags),
    Rule("TAG204", "fewer-video-tags-than-videos", E, ROW, Stage.VALIDATE, LOAD, tags.fewer_video_tags),
    Rule("TAG205", "more-audio-tags-than-audios", E, ROW, Stage.VALIDATE, LOAD, tags.more_audio_tags),
    Rule("TAG206", "fewer-audio-tags-than-audios", E, ROW, Stage.VALIDATE, LOAD, tags.fewer_audio_tags),
    Rule("TAG207", "images-and-videos-in-one-row", E, ROW, Stage.VALIDATE, LOAD, tags.images_and_videos),
    Rule("TAG208", "modality-unknown-to-template", E, ROW, Stage.VALIDATE, LOAD, tags.unsupported_modality),
    Rule("TAG209", "several-videos-in-one-row", E, ROW, Stage.VALIDATE, LOAD, tags.several_videos),
    Rule("TRN001", "no-messages", E, ROW, Stage.CONVERT, DROP, turns.no_messages),
    Rule("TRN002", "empty-turn", W, ROW, Stage.CONVERT, None, turns.empty_turn),
    Rule("TRN101", "unknown-role", E, ROW, Stage.CONVERT, DROP, turns.unknown_role),
    Rule("TRN102", "unrenderable-tools", E, ROW, Stage.TRUNCATE, LOAD, turns.unrenderable_tools, HEADER),
    Rule("TRN201", "roles-out-of-order", E, ROW, Stage.CONVERT, DROP, turns.roles_out_of_order),
    Rule("TRN202", "odd-message-count", E, ROW, Stage.CONVERT, DROP, turns.odd_message_count),
    Rule("VID101", "unreadable-video", E, MEDIA, Stage.MEDIA, LOAD, video.unreadable_video, HEADER),
    Rule("VID102", "no-video-stream", E, MEDIA, Stage.MEDIA, LOAD, video.no_video_stream, HEADER),
    Rule("VID103", "no-duration", E, MEDIA, Stage.MEDIA, LOAD, video.no_duration, HEADER),
    Rule("VID301", "only-first-frames-used", E, MEDIA, Stage.MEDIA, ALTERED, video.only_first_frames_used, HEADER),
    Rule("VID302", "rotation-ignored", E, MEDIA, Stage.MEDIA, ALTERED, video.rotation_ignored, HEADER),
)
# fmt: on

BY_CODE = {rule.code: rule for rule in RULES}
