package dev.fathom.checkpoint;

import static dev.fathom.checkpoint.ModelConfigTest.assertValue;
import static dev.fathom.checkpoint.ModelConfigTest.parse;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.error.ModelConfigException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RopeScalingTest {
  private static final String YARN =
      "'factor':40,'original_max_position_embeddings':4096,'beta_fast':32,'beta_slow':1,"
          + "'mscale':1.0,'mscale_all_dim':0.707";
  private static final RopeScaling.Yarn V3 =
      new RopeScaling.Yarn(40, 4096, 32, 1, 1, 0.707, null, null, true);

  @Test
  void publishedAndTransformers5FormsMeanTheSame() {
    assertThat(parse("{'rope_scaling':{'type':'yarn'," + YARN + "}}").ropeScaling()).isEqualTo(V3);
    assertThat(parse("{'rope_scaling':{'rope_type':'yarn'," + YARN + "}}").ropeScaling())
        .isEqualTo(V3);
    ModelConfig five =
        parse(
            "{'rope_parameters':{'rope_type':'yarn','type':'yarn','rope_theta':5e5,"
                + YARN
                + "},'rope_theta':7}");
    assertThat(five.ropeScaling()).isEqualTo(V3);
    assertThat(five.ropeTheta(1)).isEqualTo(500_000);
    assertThat(parse("{'rope_theta':10000}").ropeTheta(1)).isEqualTo(10_000);
    assertThat(parse("{}").ropeTheta(10_000)).isEqualTo(10_000);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{}",
        "{'rope_scaling':null}",
        "{'rope_parameters':{'rope_theta':10000.0,'rope_type':'default'}}",
        "{'rope_parameters':{'rope_theta':10000.0}}",
        "{'rope_scaling':{'type':'default'}}",
      })
  void withoutScalingThereIsNone(String json) {
    assertThat(parse(json).ropeScaling()).isEqualTo(new RopeScaling.None());
  }

  @Test
  void theOtherDialectsAreRead() {
    assertThat(parse("{'rope_scaling':{'type':'linear','factor':4.0}}").ropeScaling())
        .isEqualTo(new RopeScaling.Linear(4));
    assertThat(
            parse(
                    "{'rope_scaling':{'rope_type':'llama3','factor':8.0,'low_freq_factor':1.0,"
                        + "'high_freq_factor':4.0,'original_max_position_embeddings':8192}}")
                .ropeScaling())
        .isEqualTo(new RopeScaling.Llama3(8, 1, 4, 8192));
    assertThat(
            parse(
                    "{'rope_scaling':{'rope_type':'yarn','factor':4,'attn_factor':0.878,"
                        + "'original_max_position_embeddings':32768}}")
                .ropeScaling())
        .isEqualTo(new RopeScaling.Yarn(4, 32768, 32, 1, 0, 0, null, 0.878, true));
    assertThat(
            parse(
                    "{'rope_scaling':{'rope_type':'yarn','factor':16,'attention_factor':1.0,"
                        + "'truncate':false,'original_max_position_embeddings':65536}}")
                .ropeScaling())
        .isEqualTo(new RopeScaling.Yarn(16, 65536, 32, 1, 0, 0, 1.0, null, false));
  }

  @Test
  void aModelWithSeveralSectionsAsksForEach() {
    ModelConfig config =
        parse(
            "{'rope_parameters':{'main':{'rope_type':'default','rope_theta':10000},"
                + "'compress':{'rope_type':'yarn',"
                + YARN
                + "}}}");
    ModelConfig sections = config.objectAt("rope_parameters");

    assertThat(RopeScaling.ofSection(sections.objectAt("compress"))).isEqualTo(V3);
    assertThat(RopeScaling.ofSection(sections.objectAt("main"))).isEqualTo(new RopeScaling.None());
    assertValue(
        config::ropeScaling,
        "must be one of [default, linear, yarn, llama3]: rope_parameters.rope_type=missing");
  }

  @Test
  void brokenSectionsAreNamed() {
    String head = "{'rope_scaling':{'type':'yarn',";
    assertValue(
        () -> parse("{'rope_scaling':{" + YARN + "}}").ropeScaling(),
        "must be one of [default, linear, yarn, llama3]: rope_scaling.rope_type=missing");
    assertValue(
        () -> parse("{'rope_scaling':{'type':'longrope'," + YARN + "}}").ropeScaling(),
        "must be one of [default, linear, yarn, llama3]: rope_scaling.type=\"longrope\"");
    assertValue(
        () -> parse("{'rope_scaling':{'type':'yarn','rope_type':'linear'}}").ropeScaling(),
        "must equal rope_type where both are given: rope_scaling.type=\"yarn\"");
    assertValue(
        () -> parse(head + "'factor':0,'original_max_position_embeddings':1}}").ropeScaling(),
        "must be a number in [1.0, 1000000.0]: rope_scaling.factor=0");
    assertValue(
        () -> parse(head + "'factor':-4,'original_max_position_embeddings':1}}").ropeScaling(),
        "must be a number in [1.0, 1000000.0]: rope_scaling.factor=-4");
    assertValue(
        () -> parse(head + "'factor':4,'original_max_position_embeddings':0}}").ropeScaling(),
        "must be an integer in [1, 1073741824]: rope_scaling.original_max_position_embeddings=0");
    assertValue(
        () ->
            parse(head + "'factor':4,'original_max_position_embeddings':9,'beta_fast':0.5}}")
                .ropeScaling(),
        "must be >= beta_slow (1.0): rope_scaling.beta_fast=0.5");
    assertValue(
        () ->
            parse(
                    "{'rope_scaling':{'type':'llama3','factor':8,'low_freq_factor':4,"
                        + "'high_freq_factor':4,'original_max_position_embeddings':9}}")
                .ropeScaling(),
        "must be > low_freq_factor (4.0): rope_scaling.high_freq_factor=4");
    assertValue(
        () -> parse("{'rope_scaling':[1]}").ropeScaling(),
        "must be an object: rope_scaling=an array");
    assertValue(
        () -> parse("{'rope_theta':0}").ropeTheta(1),
        "must be a number in [1.0, 1.0E12]: rope_theta=0");
    assertThatThrownBy(() -> parse(head + "'factor':4}}").ropeScaling())
        .isInstanceOf(ModelConfigException.class)
        .hasMessageStartingWith(
            "FATHOM-2011 The file \"config.json\" is incomplete: it must have the key"
                + " rope_scaling.original_max_position_embeddings.");
  }
}
