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
  /** The names that {@link #named} knows. */
  public static final List<String> FAMILIES =
      List.of(
          "deepseek-v3",
          "deepseek-v3-original",
          "deepseek-r1",
          "deepseek-r1-0528",
          "deepseek-v3.1",
          "sample");

  private PromptEncoders() {}

  /**
   * Returns the encoder of a family.
   *
   * @param family one of {@link #FAMILIES}
   * @throws TextException (3003) for another name, (3004) if the tokenizer does not fit
   */
  public static PromptEncoder named(String family, Tokenizer tokenizer) {
    return switch (family) {
      case "deepseek-v3" -> new DeepSeekV3Prompt(tokenizer, DeepSeekV3Prompt.Revision.CORRECTED);
      case "deepseek-v3-original" ->
          new DeepSeekV3Prompt(tokenizer, DeepSeekV3Prompt.Revision.ORIGINAL);
      case "deepseek-r1" -> r1(tokenizer, DeepSeekR1Prompt.OpeningTag.BY_PROMPT);
      case "deepseek-r1-0528" -> r1(tokenizer, DeepSeekR1Prompt.OpeningTag.BY_MODEL);
      case "deepseek-v3.1" -> new DeepSeekV31Prompt(tokenizer);
      case "sample" -> new SamplePrompt(tokenizer);
      default ->
          throw unknown(
              "no prompt family is called " + Text.quote(family), "the name is not known");
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
    String template = readTemplate(checkpoint);
    if (template == null) {
      throw unknown(
          "the checkpoint " + Text.quote(checkpoint.toString()) + " cannot be chatted with",
          "it has no chat template, as base models do");
    }
    return forTemplate(template, tokenizer);
  }

  /**
   * Returns the encoder that a chat template is written for.
   *
   * <p>Recognised by what a template says, in this order: {@code sample}: describes its tools and
   * frames single results only; {@code deepseek-v3.1}: frames single results only and closes {@code
   * </think>} in the prompt; {@code deepseek-r1} and {@code -0528}: frames all results and cuts at
   * {@code </think>}, with or without {@code <think>} in its generation prompt; {@code
   * deepseek-v3}: frames all results and knows no {@code </think>}.
   *
   * @throws TextException (3003) if it is none of these
   */
  public static PromptEncoder forTemplate(String chatTemplate, Tokenizer tokenizer) {
    String family = recognise(chatTemplate);
    if (family == null) {
      throw unknown(
          "the chat template is not known",
          "it is not one of DeepSeek's that the"
              + " library has an encoder for: length="
              + chatTemplate.length());
    }
    return named(family, tokenizer);
  }

  private static @Nullable String recognise(String source) {
    String template = source.replace("\\n", "\n");
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
          "cannot read the chat template of " + Text.quote(checkpoint.toString()),
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
          "cannot read " + Text.quote(file.toString()),
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
