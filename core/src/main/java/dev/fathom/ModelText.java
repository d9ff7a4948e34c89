package dev.fathom;

import dev.fathom.checkpoint.Checkpoint;
import dev.fathom.checkpoint.GenerationDefaults;
import dev.fathom.checkpoint.TokenizerConfig;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.Text;
import dev.fathom.error.TextException;
import dev.fathom.text.PromptEncoder;
import dev.fathom.text.PromptEncoders;
import dev.fathom.text.Tokenizer;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The text side of a checkpoint. Immutable; safe for several threads.
 *
 * @param tokenizer of tokenizer.json
 * @param encoder renders conversations, null where the checkpoint has no known chat template
 * @param whyNoEncoder why there is none
 * @param beginId token put before raw text, -1 for none
 * @param endIds tokens that end an answer
 */
record ModelText(
    Tokenizer tokenizer,
    @Nullable PromptEncoder encoder,
    @Nullable TextException whyNoEncoder,
    int beginId,
    int[] endIds) {

  private static final String FILE = "tokenizer.json";
  private static final long MAX_TOKENIZER_BYTES = 256L << 20;

  static ModelText of(Checkpoint checkpoint, GenerationDefaults defaults, LoadOptions options) {
    byte[] json = checkpoint.file(FILE, MAX_TOKENIZER_BYTES);
    if (json == null) {
      throw new TextException(
          ErrorCode.TOKENIZER_NOT_FOUND,
          "The checkpoint " + Text.quote(checkpoint.folder().toString()) + " has no " + FILE,
          "it is not in the folder",
          "download it into the folder");
    }
    Tokenizer tokenizer = Tokenizer.parse(json);
    TokenizerConfig config = checkpoint.tokenizerConfig();
    PromptEncoder encoder = null;
    TextException why = null;
    String family = options.promptFormat();
    if (family != null) {
      encoder = PromptEncoders.named(family, tokenizer);
    } else {
      try {
        encoder = recognised(checkpoint, config, tokenizer);
      } catch (TextException e) {
        why = e;
      }
    }
    int begin = begin(checkpoint, defaults, config, tokenizer);
    return new ModelText(
        tokenizer, encoder, why, begin, ends(checkpoint, defaults, config, tokenizer));
  }

  private static PromptEncoder recognised(
      Checkpoint checkpoint, TokenizerConfig config, Tokenizer tokenizer) {
    String template = config.chatTemplate();
    String modelType = checkpoint.config().modelType();
    if (template == null && PromptEncoders.isTemplateless(modelType)) {
      boolean hasDraftBlocks = checkpoint.config().has("dspark_block_size");
      return PromptEncoders.forModelType(modelType, hasDraftBlocks, tokenizer);
    }
    if (template == null) {
      throw new TextException(
          ErrorCode.PROMPT_FAMILY_UNKNOWN,
          "The checkpoint cannot be chatted with",
          "it has no chat template, as base models do",
          "use generate with text, or name the promptFormat: "
              + String.join(", ", PromptEncoders.FAMILIES));
    }
    return PromptEncoders.forTemplate(template, tokenizer);
  }

  private static int begin(
      Checkpoint checkpoint,
      GenerationDefaults defaults,
      TokenizerConfig config,
      Tokenizer tokenizer) {
    Integer id = defaults.bosId();
    if (id != null) {
      return id;
    }
    List<Integer> ids = checkpoint.config().tokenIdsAt("bos_token_id");
    if (!ids.isEmpty()) {
      return ids.getFirst();
    }
    String token = config.bosToken();
    return token == null ? Tokenizer.NO_TOKEN : tokenizer.tokenId(token);
  }

  private static int[] ends(
      Checkpoint checkpoint,
      GenerationDefaults defaults,
      TokenizerConfig config,
      Tokenizer tokenizer) {
    List<Integer> ids = defaults.eosIds();
    if (ids.isEmpty()) {
      ids = checkpoint.config().tokenIdsAt("eos_token_id");
    }
    String token = config.eosToken();
    if (ids.isEmpty() && token != null && tokenizer.tokenId(token) != Tokenizer.NO_TOKEN) {
      ids = List.of(tokenizer.tokenId(token));
    }
    return ids.stream().mapToInt(i -> i).toArray();
  }

  /** Returns the encoder, or throws why there is none. */
  PromptEncoder requireEncoder() {
    if (encoder == null) {
      throw whyNoEncoder == null ? new IllegalStateException("no encoder") : whyNoEncoder;
    }
    return encoder;
  }

  String format() {
    return encoder == null ? "none" : encoder.family();
  }
}
