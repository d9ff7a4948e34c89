package dev.fathom;

import dev.fathom.backend.SamplingParams;
import dev.fathom.engine.AnswerGrammar;
import dev.fathom.engine.BeamOptions;
import dev.fathom.engine.DraftOptions;
import dev.fathom.engine.EngineRequest;
import dev.fathom.engine.GrammarConstraint;
import dev.fathom.engine.Placement;
import dev.fathom.engine.RequestControls;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.InvalidRequestException;
import dev.fathom.error.Text;
import dev.fathom.error.TextException;
import dev.fathom.sampling.CounterRandom;
import dev.fathom.text.ChatMessage;
import dev.fathom.text.Conversation;
import dev.fathom.text.FillInTheMiddle;
import dev.fathom.text.OutputParser;
import dev.fathom.text.PromptEncoder;
import dev.fathom.text.PromptOptions;
import dev.fathom.text.ToolDefinition;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Turns requests into the engine's terms: encodes the prompt, fills defaults in, checks what
 * depends on the model. Immutable; safe for several threads.
 */
final class RequestReader {

  private final ModelText text;
  private final SamplingDefaults defaults;
  private final int contextTokens;
  private final int maxContextTokens;
  private final int vocabSize;
  private final RequestSteering steering;
  private final Speculation speculation;
  private final ResponseFormats formats;

  RequestReader(
      ModelText text,
      SamplingDefaults defaults,
      int contextTokens,
      int maxContextTokens,
      int vocabSize,
      Speculation speculation) {
    this.text = text;
    this.defaults = defaults;
    this.contextTokens = contextTokens;
    this.maxContextTokens = maxContextTokens;
    this.vocabSize = vocabSize;
    this.steering = new RequestSteering(text.tokenizer(), vocabSize);
    this.speculation = speculation;
    this.formats = new ResponseFormats(text.tokenizer(), vocabSize);
  }

  EngineRequest read(GenerationRequest request) {
    int[] ids = encode(request.prompt());
    checkLength(ids.length);
    int maxTokens = request.maxTokens() == null ? defaults.maxTokens() : request.maxTokens();
    Checks.inRange("minTokens", request.minTokens(), 0, maxTokens);
    Supplier<OutputParser> parser = parser(request.prompt());
    boolean startsReasoning = parser != null && parser.get().isInReasoning();
    BeamOptions beams = BeamRules.beams(request, endIds(request).length);
    AnswerGrammar grammar = grammar(request, parser);
    if (beams != null && grammar != null) {
      throw BeamRules.conflict("strict tools", beams.width(), true);
    }
    RequestControls controls =
        steering
            .controls(request, startsReasoning)
            .drafting(beams == null ? speculation(request).options() : DraftOptions.NONE)
            .searching(beams)
            .placed(Placement.of(request.priority(), request.tenant()));
    return new EngineRequest(
        ids,
        maxTokens,
        request.minTokens(),
        beams == null
            ? choices(request)
            : BeamRules.choices(request, beams, endIds(request).length),
        endIds(request),
        stopIds(request),
        request.stop(),
        request.responseFormat() == null || parser == null
            ? parser
            : () -> parser.get().withLiteralContent(),
        startsReasoning,
        request.adapter(),
        grammar == null ? controls : controls.constrainedBy(() -> new GrammarConstraint(grammar)));
  }

  private Speculation speculation(GenerationRequest request) {
    Speculation wanted = request.speculation() == null ? speculation : request.speculation();
    if (wanted.usesModule() && !speculation.usesModule()) {
      throw Checks.invalid(
          "The request wants guesses of the module of multi-token prediction",
          "must be loaded with the model: speculation=" + wanted,
          "load the model with speculation(Speculation.mtp()), or ask for Speculation.ngram(4)");
    }
    return wanted;
  }

  private int[] endIds(GenerationRequest request) {
    return request.ignoreEos() ? new int[0] : text.endIds();
  }

  private int[] stopIds(GenerationRequest request) {
    return checkIds("stopTokenIds", request.stopTokenIds().stream().mapToInt(i -> i).toArray());
  }

  private @Nullable AnswerGrammar grammar(
      GenerationRequest request, @Nullable Supplier<OutputParser> parser) {
    ResponseFormat format = request.responseFormat();
    List<ToolDefinition> tools = tools(request.prompt());
    boolean strict = tools.stream().anyMatch(ToolDefinition::strict);
    if (format == null && !strict) {
      return null;
    }
    OutputParser first = parser == null ? null : parser.get();
    int[] ends =
        IntStream.concat(Arrays.stream(endIds(request)), Arrays.stream(stopIds(request))).toArray();
    if (format != null) {
      return formats.compile(format, first, ends);
    }
    Checks.inRange("minTokens with strict tools", request.minTokens(), 0, 0);
    return formats.compileCalls(tools, first, ends);
  }

  /** Returns the tools that a conversation offers, wherever it does. */
  private static List<ToolDefinition> tools(Prompt prompt) {
    if (!(prompt instanceof Prompt.Chat chat)) {
      return List.of();
    }
    List<ToolDefinition> tools = new ArrayList<>(chat.tools());
    for (ChatMessage message : chat.messages()) {
      if (message instanceof ChatMessage.DeveloperMessage developer) {
        tools.addAll(developer.tools());
      }
    }
    return tools.stream().distinct().toList();
  }

  private @Nullable Supplier<OutputParser> parser(Prompt prompt) {
    if (!(prompt instanceof Prompt.Chat chat)) {
      return null;
    }
    PromptEncoder encoder = text.requireEncoder();
    PromptOptions options = options(chat);
    Conversation conversation = conversation(chat);
    return () -> encoder.newParser(conversation, options);
  }

  private static PromptOptions options(Prompt.Chat chat) {
    return new PromptOptions(
        chat.thinking(), true, chat.assistantPrefix(), chat.effort(), chat.keepReasoning());
  }

  private static Conversation conversation(Prompt.Chat chat) {
    return new Conversation(chat.messages(), chat.tools(), chat.responseFormat());
  }

  /** Returns the prompt's ids. */
  int[] encode(Prompt prompt) {
    return prompt instanceof Prompt.Tokens tokens
        ? checkIds("prompt", tokens.ids())
        : known(encodeText(prompt));
  }

  private int[] encodeText(Prompt prompt) {
    return switch (prompt) {
      case Prompt.Chat chat -> {
        PromptEncoder encoder = text.requireEncoder();
        Conversation conversation = conversation(chat);
        conversation.requireQuestion();
        yield encoder.encode(conversation, options(chat));
      }
      case Prompt.FillInTheMiddle hole ->
          new FillInTheMiddle(text.tokenizer()).encode(hole.prefix(), hole.suffix());
      case Prompt.Text raw -> withBegin(text.tokenizer().encodeText(raw.text()));
      case Prompt.Tokens tokens -> tokens.ids();
    };
  }

  private int[] withBegin(int[] ids) {
    if (text.beginId() < 0) {
      return ids;
    }
    int[] all = new int[ids.length + 1];
    all[0] = text.beginId();
    System.arraycopy(ids, 0, all, 1, ids.length);
    return all;
  }

  int[] checkIds(String name, int[] ids) {
    for (int id : ids) {
      Checks.inRange(name, id, 0, vocabSize - 1);
    }
    return ids;
  }

  /** Refuses ids that a tokenizer of another model gives. */
  private int[] known(int[] ids) {
    for (int id : ids) {
      if (id >= vocabSize) {
        throw new TextException(
            ErrorCode.TOKENIZER_INVALID,
            "The tokenizer does not fit the model",
            "it gives a token that the model does not have, ids must be < "
                + vocabSize
                + (": id=" + id + " token=" + Text.quote(text.tokenizer().decode(id))),
            "use the tokenizer.json that was published with these weights");
      }
    }
    return ids;
  }

  /** Refuses an empty prompt and one that leaves no room for a token. */
  private void checkLength(int length) {
    if (length == 0) {
      throw Checks.invalid(
          "The prompt is empty", "must be >= 1: prompt tokens=0", "give at least one token");
    }
    if (length >= contextTokens) {
      throw new InvalidRequestException(
          ErrorCode.PROMPT_TOO_LONG,
          "The prompt does not fit the context",
          "must be < " + contextTokens + ": prompt tokens=" + length,
          length < maxContextTokens
              ? "shorten the prompt, or load the model with contextTokens("
                  + (length + 1)
                  + ") or more"
              : "shorten the prompt; this model has contexts of at most "
                  + maxContextTokens
                  + " tokens");
    }
  }

  private List<SamplingParams> choices(GenerationRequest request) {
    Long wanted = request.seed();
    long seed = wanted == null ? ThreadLocalRandom.current().nextLong() : wanted;
    SamplingParams.LogitBias bias = bias(request.logitBias());
    List<SamplingParams> choices = new ArrayList<>();
    for (int i = 0; i < request.n(); i++) {
      choices.add(params(request, CounterRandom.seedOfChoice(seed, i), bias));
    }
    return choices;
  }

  private SamplingParams params(
      GenerationRequest request, long seed, SamplingParams.@Nullable LogitBias bias) {
    Float temperature = request.temperature();
    Integer topK = request.topK();
    Float topP = request.topP();
    Float minP = request.minP();
    Float repetition = request.repetitionPenalty();
    return new SamplingParams(
        temperature == null ? defaults.temperature() : temperature,
        topK == null ? defaults.topK() : topK,
        topP == null ? defaults.topP() : topP,
        minP == null ? 0 : minP,
        repetition == null ? defaults.repetitionPenalty() : repetition,
        request.presencePenalty(),
        request.frequencyPenalty(),
        seed,
        request.topLogprobs(),
        request.processedLogprobs(),
        bias);
  }

  private SamplingParams.@Nullable LogitBias bias(Map<Integer, Float> bias) {
    if (bias.isEmpty()) {
      return null;
    }
    int[] ids = bias.keySet().stream().mapToInt(i -> i).sorted().toArray();
    checkIds("logitBias.token", ids);
    float[] values = new float[ids.length];
    for (int i = 0; i < ids.length; i++) {
      values[i] = bias.getOrDefault(ids[i], 0f);
    }
    return new SamplingParams.LogitBias(ids, values);
  }

  @Override
  public String toString() {
    return defaults + " endIds=" + Arrays.toString(text.endIds());
  }
}
