package dev.fathom.text;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.Text;
import dev.fathom.error.TextException;
import dev.fathom.json.Json;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonException;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonString;
import dev.fathom.json.JsonValue;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Chooses the prompt encoder of a checkpoint, from its chat template or by name. */
public final class PromptEncoders {
  /**
   * The names that {@link #named} knows. {@code deepseek-v2} is also the family of LLM, MoE and
   * Coder-V2; {@code deepseek-r1} of the distilled R1 models and {@code deepseek-r1-0528} of
   * 0528-Qwen3-8B, with their own tokenizers; {@code deepseek-v3.1} of V3.2-Exp; {@code
   * deepseek-v4} of the V4 preview.
   */
  public static final List<String> FAMILIES =
      List.of(
          "deepseek-v2",
          "deepseek-coder",
          "deepseek-v2.5",
          "deepseek-v3",
          "deepseek-v3-original",
          "deepseek-r1",
          "deepseek-r1-0528",
          "deepseek-v3.1",
          "deepseek-v3.2",
          "deepseek-v4",
          "deepseek-v4-0731",
          "sample");

  private PromptEncoders() {}

  /**
   * Returns the encoder of a family. {@code deepseek-coder} by name introduces itself with nothing
   * where the conversation has no system message: the text is in the checkpoint's template only.
   *
   * @param family one of {@link #FAMILIES}
   * @throws TextException (3003) for another name, (3004) if the tokenizer does not fit
   */
  public static PromptEncoder named(String family, Tokenizer tokenizer) {
    return switch (family) {
      case "deepseek-v2" -> new DeepSeekV2Prompt(tokenizer);
      case "deepseek-coder" -> new DeepSeekCoderPrompt(tokenizer, "");
      case "deepseek-v2.5" -> new DeepSeekV3Prompt(tokenizer, DeepSeekV3Prompt.Revision.V25);
      case "deepseek-v3" -> new DeepSeekV3Prompt(tokenizer, DeepSeekV3Prompt.Revision.CORRECTED);
      case "deepseek-v3-original" ->
          new DeepSeekV3Prompt(tokenizer, DeepSeekV3Prompt.Revision.ORIGINAL);
      case "deepseek-r1" -> r1(tokenizer, DeepSeekR1Prompt.OpeningTag.BY_PROMPT);
      case "deepseek-r1-0528" -> r1(tokenizer, DeepSeekR1Prompt.OpeningTag.BY_MODEL);
      case "deepseek-v3.1" -> new DeepSeekV31Prompt(tokenizer);
      case "deepseek-v3.2" -> new DeepSeekV32Prompt(tokenizer);
      case "deepseek-v4" -> new DeepSeekV4Prompt(tokenizer, DeepSeekV4Prompt.Revision.PREVIEW);
      case "deepseek-v4-0731" -> new DeepSeekV4Prompt(tokenizer, DeepSeekV4Prompt.Revision.FINAL);
      case "sample" -> new SamplePrompt(tokenizer);
      default ->
          throw unknown(
              "No prompt family is called " + Text.quote(family), "the name is not known");
    };
  }

  /**
   * Returns the encoder that a checkpoint's folder asks for by its chat template, which is compared
   * with known ones and never run.
   *
   * @param checkpoint a folder with {@code chat_template.jinja} or a {@code tokenizer_config.json}
   *     with a {@code chat_template}
   * @throws TextException (3003) if there is no template or it is not known
   */
  public static PromptEncoder forCheckpoint(Path checkpoint, Tokenizer tokenizer) {
    return forCheckpoint(checkpoint, tokenizer, "", false);
  }

  /**
   * As the other method, with what {@code config.json} says, which decides where there is no
   * template: see {@link #forModelType}.
   *
   * @throws TextException (3003) if neither is known
   */
  public static PromptEncoder forCheckpoint(
      Path checkpoint, Tokenizer tokenizer, String modelType, boolean hasDraftBlocks) {
    String template = readTemplate(checkpoint);
    if (template == null && isTemplateless(modelType)) {
      return forModelType(modelType, hasDraftBlocks, tokenizer);
    }
    if (template == null) {
      throw unknown(
          "The checkpoint " + Text.quote(checkpoint.toString()) + " cannot be chatted with",
          "it has no chat template, as base models do");
    }
    return forTemplate(template, tokenizer);
  }

  /** Returns whether checkpoints of this type come without a template and are chatted with. */
  public static boolean isTemplateless(String modelType) {
    return modelType.equals("deepseek_v32") || modelType.equals("deepseek_v4");
  }

  /**
   * Returns the encoder of checkpoints without a chat template: {@code deepseek_v32} and {@code
   * deepseek_v4}.
   *
   * @param modelType {@code model_type} of {@code config.json}
   * @param hasDraftBlocks whether it has {@code dspark_block_size}, which tells V4 of July and
   *     August from the preview
   * @throws TextException (3003) for another type, (3004) if the tokenizer does not fit
   */
  public static PromptEncoder forModelType(
      String modelType, boolean hasDraftBlocks, Tokenizer tokenizer) {
    return switch (modelType) {
      case "deepseek_v32" -> named("deepseek-v3.2", tokenizer);
      case "deepseek_v4" -> named(hasDraftBlocks ? "deepseek-v4-0731" : "deepseek-v4", tokenizer);
      default ->
          throw unknown(
              "No prompt family belongs to the model type " + Text.quote(modelType),
              "its checkpoints have chat templates, or it is not known");
    };
  }

  /**
   * Returns the encoder that a chat template is written for.
   *
   * <p>Recognised by what a template says, in this order: {@code deepseek-coder} and {@code
   * deepseek-v2}: name their turns in text; {@code sample}: describes its tools and frames single
   * results only; {@code deepseek-v3.1}: frames single results only and closes {@code </think>} in
   * the prompt; {@code deepseek-r1} and {@code -0528}: frames all results and cuts at {@code
   * </think>}, with or without {@code <think>} in its generation prompt; {@code deepseek-v3}:
   * frames all results and knows no {@code </think>}.
   *
   * @throws TextException (3003) if it is none of these
   */
  public static PromptEncoder forTemplate(String chatTemplate, Tokenizer tokenizer) {
    String family = recognise(chatTemplate);
    if (family == null) {
      throw unknown(
          "The chat template is not known",
          "it is not one of DeepSeek's that the"
              + " library has an encoder for: length="
              + chatTemplate.length());
    }
    return family.equals("deepseek-coder")
        ? new DeepSeekCoderPrompt(tokenizer, coderSystem(chatTemplate))
        : named(family, tokenizer);
  }

  /** The text with which a coder's template introduces the model: its string "You are ...". */
  private static String coderSystem(String source) {
    int from = source.indexOf("'You are ");
    int to = from < 0 ? -1 : source.indexOf("'", from + 1);
    return to < 0 ? "" : source.substring(from + 1, to).replace("\\n", "\n");
  }

  private static @Nullable String recognise(String source) {
    String template = source.replace("\\n", "\n");
    if (template.contains("### Instruction:") && template.contains("### Response:")) {
      return template.contains(ControlTokens.END_OF_TURN) ? "deepseek-coder" : null;
    }
    if (!template.contains(ControlTokens.ASSISTANT)) {
      boolean named = template.contains("'User: '") && template.contains("'Assistant: '");
      return named && template.contains("'Assistant:'") ? "deepseek-v2" : null;
    }
    boolean turns =
        template.contains(ControlTokens.USER) && template.contains(ControlTokens.ASSISTANT);
    boolean single = template.contains(ControlTokens.OUTPUT_BEGIN);
    boolean framed = template.contains(ControlTokens.OUTPUTS_BEGIN);
    boolean thinks = template.contains(ControlTokens.END_THINK);
    if (!turns || !single) {
      return null;
    }
    if (framed) {
      if (!thinks) {
        return template.contains("```json") ? "deepseek-v3" : null;
      }
      return template.contains(ControlTokens.ASSISTANT + ControlTokens.THINK)
          ? "deepseek-r1"
          : "deepseek-r1-0528";
    }
    if (!thinks || template.contains("```json")) {
      return null;
    }
    if (template.contains("## Tools\nYou have access to the following tools:\n'")) {
      return "sample";
    }
    return template.contains("is_last_user") ? "deepseek-v3.1" : null;
  }

  private static PromptEncoder r1(Tokenizer tokenizer, DeepSeekR1Prompt.OpeningTag openingTag) {
    return new DeepSeekR1Prompt(
        tokenizer, openingTag, DeepSeekR1Prompt.UnclosedReasoning.IS_REASONING);
  }

  private static @Nullable String readTemplate(Path checkpoint) {
    Path jinja = checkpoint.resolve("chat_template.jinja");
    Path config = checkpoint.resolve("tokenizer_config.json");
    try {
      if (Files.isRegularFile(jinja)) {
        return Files.readString(jinja, StandardCharsets.UTF_8);
      }
      return Files.isRegularFile(config) ? templateOf(Files.readAllBytes(config), config) : null;
    } catch (IOException e) {
      throw new TextException(
          ErrorCode.TOKENIZER_NOT_FOUND,
          "Cannot read the chat template of " + Text.quote(checkpoint.toString()),
          e.getClass().getSimpleName() + " " + Text.quote(e.getMessage()),
          "check that this user may read the folder",
          e);
    }
  }

  /** The template of a tokenizer_config.json: a string, or the one named default of a list. */
  private static @Nullable String templateOf(byte[] config, Path file) {
    JsonValue value;
    try {
      value = Json.parse(config, JsonLimits.DEFAULT);
    } catch (JsonException e) {
      throw new TextException(
          ErrorCode.TOKENIZER_INVALID,
          "Cannot read " + Text.quote(file.toString()),
          "not valid JSON at byte " + e.offset() + ": " + e.rule(),
          "download the file again",
          e);
    }
    JsonValue template = value instanceof JsonObject o ? o.get("chat_template") : null;
    if (template instanceof JsonString s) {
      return s.value();
    }
    if (template instanceof JsonArray list) {
      for (JsonValue entry : list) {
        if (entry instanceof JsonObject named && "default".equals(named.string("name"))) {
          return named.string("template");
        }
      }
    }
    return null;
  }

  private static TextException unknown(String what, String why) {
    return new TextException(
        ErrorCode.PROMPT_FAMILY_UNKNOWN,
        what,
        why,
        "name the prompt family of the checkpoint: " + String.join(", ", FAMILIES));
  }
}
