package dev.fathom.checkpoint;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.ModelConfigException;
import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ModelConfigTest {
  private static final String VALUE_FIX =
      ". Fix: put the file of the published model there, or correct the value";

  @Test
  void valuesOfTheRightKindAndRangeAreRead() {
    ModelConfig config =
        parse(
            "{'model_type':'deepseek_v3','architectures':['DeepseekV3ForCausalLM'],'n':7,"
                + "'big':9007199254740993,'eps':1e-06,'whole':10000,'flag':false,'none':null,"
                + "'ids':[1,2],'sub':{'inner':{'k':3}},'unknown':{'x':[1]}}");

    assertThat(config.modelType()).isEqualTo("deepseek_v3");
    assertThat(config.architectures()).containsExactly("DeepseekV3ForCausalLM");
    assertThat(config.intAt("n", 1, 7)).isEqualTo(7);
    assertThat(config.intAt("missing", 1, 7, 4)).isEqualTo(4);
    assertThat(config.intAt("none", 1, 7, 4)).isEqualTo(4);
    assertThat(config.longAt("big", 0, Long.MAX_VALUE)).isEqualTo(9007199254740993L);
    assertThat(config.longAt("missing", 0, 1, -1)).isEqualTo(-1);
    assertThat(config.doubleAt("eps", 0, 1)).isEqualTo(1e-6);
    assertThat(config.doubleAt("whole", 0, 1e9)).isEqualTo(10_000);
    assertThat(config.doubleAt("missing", 0, 1, 0.5)).isEqualTo(0.5);
    assertThat(config.booleanAt("flag")).isFalse();
    assertThat(config.booleanAt("missing", true)).isTrue();
    assertThat(config.stringAt("missing", "x")).isEqualTo("x");
    assertThat(config.oneOf("model_type", List.of("deepseek_v3"), "")).isEqualTo("deepseek_v3");
    assertThat(config.intsAt("ids", 0, 9)).containsExactly(1, 2);
    assertThat(config.intsAt("missing", 0, 9)).isEmpty();
    assertThat(config.objectAt("sub").objectAt("inner").intAt("k", 0, 9)).isEqualTo(3);
    assertThat(config.has("none")).isFalse();
    assertThat(config.has("flag")).isTrue();
    assertThat(config.isObject("sub")).isTrue();
    assertThat(config.json().has("unknown")).isTrue();
  }

  @Test
  void aMissingKeyIsNamedWithItsPath() {
    ModelConfig config = parse("{'sub':{'none':null}}");

    assertRefused(
        () -> config.intAt("hidden_size", 1, 9),
        ErrorCode.CONFIG_KEY_MISSING,
        "FATHOM-2011 The file \"config.json\" is incomplete: it must have the key hidden_size. Fix:"
            + " put the file of the published model there, or add the key");
    assertRefused(
        () -> config.objectAt("sub").stringAt("none"),
        ErrorCode.CONFIG_KEY_MISSING,
        "FATHOM-2011 The file \"config.json\" is incomplete: it must have the key sub.none. Fix:"
            + " put the file of the published model there, or add the key");
  }

  @ParameterizedTest
  @CsvSource(
      quoteCharacter = '`',
      delimiter = '|',
      value = {
        "0                      | 0",
        "-1                     | -1",
        "1048577                | 1048577",
        "7168.0                 | 7168.0",
        "7e3                    | 7e3",
        "18446744073709551617   | 18446744073709551617",
        "\"7168\"               | \"7168\"",
        "true                   | true",
        "[7168]                 | an array",
        "{\"a\":1}              | an object",
      })
  void anIntegerOutOfItsRuleIsShown(String json, String shown) {
    ModelConfig config = parse("{\"hidden_size\":" + json + "}");
    assertRefused(
        () -> config.intAt("hidden_size", 1, 1 << 20),
        ErrorCode.CONFIG_VALUE,
        "FATHOM-2012 The file \"config.json\" has a value that is not allowed: must be an integer in"
            + " [1, 1048576]: hidden_size="
            + shown
            + VALUE_FIX);
  }

  @ParameterizedTest
  @ValueSource(strings = {"-0.1", "1.1", "1e400", "-1e400", "\"NaN\"", "[]"})
  void aNumberOutOfItsRuleIsRefused(String json) {
    ModelConfig config = parse("{\"x\":{\"eps\":" + json + "}}");
    assertThatThrownBy(() -> config.objectAt("x").doubleAt("eps", 0, 1))
        .isInstanceOf(ModelConfigException.class)
        .hasMessageContaining("must be a number in [0.0, 1.0]: x.eps=");
  }

  @Test
  void otherKindsAreRefusedByName() {
    ModelConfig config = parse("{'n':1,'s':'a\\nb','l':[1,'x'],'long':'" + "x".repeat(300) + "'}");

    assertValue(() -> config.booleanAt("n"), "must be true or false: n=1");
    assertValue(() -> config.stringAt("n"), "must be a string: n=1");
    assertValue(() -> config.intAt("s", 0, 1), "must be an integer in [0, 1]: s=\"a\\nb\"");
    assertValue(() -> config.stringsAt("l"), "must hold strings only: l=1");
    assertValue(() -> config.stringsAt("n"), "must be an array: n=1");
    assertValue(() -> config.intsAt("l", 0, 5), "must be an integer in [0, 5]: l=\"x\"");
    assertValue(() -> config.objectAt("n"), "must be an object: n=1");
    assertValue(
        () -> config.oneOf("s", List.of("a", "b"), "a"), "must be one of [a, b]: s=\"a\\nb\"");
    assertThatThrownBy(() -> config.intAt("long", 0, 1))
        .satisfies(e -> assertThat(e.getMessage()).hasSizeLessThan(600));
    assertThat(config.broken("n", "must divide m (3)"))
        .hasMessageContaining("must divide m (3): n=1");
    assertThat(config.broken("m", "must be there"))
        .hasMessageContaining("must be there: m=missing");
  }

  @Test
  void aDocumentThatIsNoObjectIsRefused() {
    assertRefused(
        () -> ModelConfig.parse("[1]".getBytes(UTF_8), "config.json"),
        ErrorCode.CONFIG_JSON,
        "FATHOM-2010 The file \"config.json\" is not a configuration: it must be a JSON object. Fix:"
            + " put the file of the published model there");
    assertRefused(
        () -> ModelConfig.parse("{\"a\":1,\"a\":2}".getBytes(UTF_8), "config.json"),
        ErrorCode.CONFIG_JSON,
        "FATHOM-2010 The file \"config.json\" is not a configuration: a name must not occur twice in"
            + " one object: offset=7. Fix: put the file of the published model there");
    assertThatThrownBy(() -> parse("{\"a\":" + "[".repeat(100_000)))
        .isInstanceOf(ModelConfigException.class);
  }

  @Test
  void tokenIdsAreOneOrSeveralAndNegativeOnesAreNone() {
    ModelConfig config = parse("{'one':1,'many':[2,3],'none':-1,'null':null,'bad':'x'}");

    assertThat(config.tokenIdsAt("one")).containsExactly(1);
    assertThat(config.tokenIdsAt("many")).containsExactly(2, 3);
    assertThat(config.tokenIdsAt("none")).isEmpty();
    assertThat(config.tokenIdsAt("null")).isEmpty();
    assertValue(() -> config.tokenIdsAt("bad"), "must be an array: bad=\"x\"");
  }

  @Test
  void anFp8QuantizationIsReadWithAndWithoutItsOptionalKeys() {
    QuantizationConfig v31 =
        parse(
                "{'quantization_config':{'quant_method':'fp8','fmt':'e4m3','activation_scheme':"
                    + "'dynamic','weight_block_size':[128,64],'scale_fmt':'ue8m0',"
                    + "'modules_to_not_convert':['lm_head']}}")
            .quantization();
    assertThat(v31).isNotNull();
    assertThat(v31.blockRows()).isEqualTo(128);
    assertThat(v31.blockCols()).isEqualTo(64);
    assertThat(v31.scaleFormat()).isEqualTo("ue8m0");
    assertThat(v31.modulesToNotConvert()).containsExactly("lm_head");
    assertThat(v31.hasBlocks()).isTrue();

    QuantizationConfig bare =
        parse("{'quantization_config':{'quant_method':'fp8'}}").quantization();
    assertThat(bare).isNotNull();
    assertThat(bare.hasBlocks()).isFalse();
    assertThat(bare.format()).isEqualTo("e4m3");
    assertThat(parse("{'quantization_config':null}").quantization()).isNull();
  }

  @Test
  void aWrongFp8SectionIsRefused() {
    String head = "{'quantization_config':{'quant_method':'fp8',";
    assertValue(
        () -> parse(head + "'weight_block_size':[128]}}").quantization(),
        "must have two integers: quantization_config.weight_block_size=an array");
    assertValue(
        () -> parse(head + "'weight_block_size':[128,0]}}").quantization(),
        "must be an integer in [1, 65536]: quantization_config.weight_block_size=0");
    assertValue(
        () -> parse(head + "'fmt':'e5m2'}}").quantization(),
        "must be one of [e4m3]: quantization_config.fmt=\"e5m2\"");
  }

  @Test
  void anotherMethodIsKeptRawAndRefusedByNameWhereItIsNotKnown() {
    QuantizationConfig awq =
        parse("{'quantization_config':{'quant_method':'awq','bits':4,'group_size':128}}")
            .quantization();
    assertThat(awq).isNotNull();
    assertThat(awq.section().has("group_size")).isTrue();
    awq.requireKnown(List.of("fp8", "awq"));
    assertRefused(
        () -> awq.requireKnown(List.of("gptq", "fp8")),
        ErrorCode.QUANTIZATION_UNSUPPORTED,
        "FATHOM-2013 The weights are quantized in a way that cannot be read: quant_method must be one"
            + " of [fp8, gptq]: quant_method=\"awq\". Fix: use a checkpoint in one of these formats,"
            + " or the unquantized one and quantize while loading");
  }

  @Test
  void generationDefaultsAreReadAndChecked() {
    GenerationDefaults defaults =
        GenerationDefaults.of(
            parse(
                "{'_from_model_config':true,'do_sample':true,'temperature':0.6,'top_p':0.95,"
                    + "'top_k':20,'repetition_penalty':1.05,'max_new_tokens':2048,'bos_token_id':0,"
                    + "'pad_token_id':[2,3],'eos_token_id':[1,7]}"));
    assertThat(defaults)
        .isEqualTo(new GenerationDefaults(true, 0.6, 0.95, 20, 1.05, 2048, 0, 2, List.of(1, 7)));
    assertThat(GenerationDefaults.of(parse("{}"))).isEqualTo(GenerationDefaults.NONE);
    assertValue(
        () -> GenerationDefaults.of(parse("{'temperature':-0.1}")),
        "must be a number in [0.0, 100.0]: temperature=-0.1");
    assertValue(
        () -> GenerationDefaults.of(parse("{'top_p':1.5}")),
        "must be a number in [0.0, 1.0]: top_p=1.5");
    assertValue(
        () -> GenerationDefaults.of(parse("{'top_k':-2}")),
        "must be an integer in [-1, 2147483647]: top_k=-2");
  }

  @Test
  void tokenizerConfigsHaveTokensAsStringsOrObjects() {
    TokenizerConfig config =
        TokenizerConfig.of(
            parse(
                "{'bos_token':{'__type':'AddedToken','content':'<bos>'},'eos_token':'<eos>',"
                    + "'pad_token':null,'add_bos_token':true,'add_eos_token':false,"
                    + "'model_max_length':1000000000000000019884624838656,"
                    + "'tokenizer_class':'LlamaTokenizerFast','chat_template':'{{x}}'}"));
    assertThat(config)
        .isEqualTo(
            new TokenizerConfig(
                "<bos>", "<eos>", null, null, true, false, null, "LlamaTokenizerFast", "{{x}}"));
    assertThat(TokenizerConfig.of(parse("{'model_max_length':1e30}")).modelMaxLength()).isNull();
    assertThat(TokenizerConfig.of(parse("{'model_max_length':131072}")).modelMaxLength())
        .isEqualTo(131072);
    assertThat(
            TokenizerConfig.of(
                    parse(
                        "{'chat_template':[{'name':'tool','template':'T'},"
                            + "{'name':'default','template':'D'}]}"))
                .chatTemplate())
        .isEqualTo("D");
    assertValue(
        () -> TokenizerConfig.of(parse("{'chat_template':[{'name':'tool','template':'T'}]}")),
        "must be a string or have a template named \"default\": chat_template=an array");
    assertValue(
        () -> TokenizerConfig.of(parse("{'bos_token':7}")), "must be a string: bos_token=7");
  }

  static ModelConfig parse(String json) {
    return ModelConfig.parse(json.replace('\'', '"').getBytes(UTF_8), "config.json");
  }

  static void assertValue(ThrowingCallable call, String rule) {
    assertRefused(
        call,
        ErrorCode.CONFIG_VALUE,
        "FATHOM-2012 The file \"config.json\" has a value that is not allowed: "
            + rule
            + VALUE_FIX);
  }

  private static void assertRefused(ThrowingCallable call, ErrorCode code, String message) {
    ModelConfigException e = catchThrowableOfType(ModelConfigException.class, call);
    assertThat(e).isNotNull();
    assertThat(e.code()).isEqualTo(code);
    assertThat(e).hasMessage(message);
  }
}
