package dev.fathom.checkpoint;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.fathom.error.CheckpointException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.FathomException;
import dev.fathom.error.ModelConfigException;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The typical first mistakes: each has its code, its text and its remedy. */
class CheckpointFolderTest {
  private static final String POINTER =
      "version https://git-lfs.github.com/spec/v1\n"
          + "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
          + "size 12345678\n";

  @TempDir Path temp;

  @Test
  void aMissingFolderIsSaidWithTheWorkingDirectory() {
    Path path = temp.resolve("nowhere");
    assertRefused(
        path,
        ErrorCode.CHECKPOINT_NOT_FOUND,
        "FATHOM-1000 The checkpoint \""
            + path
            + "\" cannot be opened: there is no such folder. Fix: check the path; relative ones"
            + " start at the working directory, which is \""
            + Path.of("").toAbsolutePath()
            + "\"");
  }

  @Test
  void aFileInsteadOfAFolderIsSaidWithItsFolder() throws IOException {
    Path path = Files.createFile(temp.resolve("model.safetensors"));
    assertRefused(
        path,
        ErrorCode.CHECKPOINT_IS_FILE,
        "FATHOM-1001 The checkpoint \""
            + path
            + "\" cannot be opened: it is a file, but a checkpoint is a folder. Fix: pass the"
            + " folder that holds it: \""
            + temp
            + "\"");
  }

  @Test
  void theRemedyForAFileWorks() throws IOException {
    writeModel();
    Path path = temp.resolve("model.safetensors");
    FathomException e =
        catchThrowableOfType(CheckpointException.class, () -> Checkpoint.open(path));
    String fix = e.fix();

    Path folder = Path.of(fix.substring(fix.indexOf('"') + 1, fix.length() - 1));

    assertThat(Checkpoint.open(folder).tensors()).hasSize(1);
  }

  @Test
  void anEmptyFolderIsSaid() {
    assertRefused(
        temp,
        ErrorCode.CHECKPOINT_EMPTY,
        "FATHOM-1002 The checkpoint \""
            + temp
            + "\" cannot be opened: the folder is empty. Fix: download the model into it:"
            + " config.json, tokenizer.json and the .safetensors files");
  }

  @Test
  void aFolderWithoutWeightsIsSaid() throws IOException {
    Files.writeString(temp.resolve("config.json"), "{}");
    assertRefused(
        temp,
        ErrorCode.CHECKPOINT_WITHOUT_WEIGHTS,
        "FATHOM-1003 The checkpoint \""
            + temp
            + "\" cannot be opened: the folder has neither model.safetensors nor"
            + " model.safetensors.index.json. Fix: download the .safetensors files of the model and"
            + " their index into it");
  }

  @Test
  void pickledWeightsAreNeverRead() throws IOException {
    Files.writeString(temp.resolve("config.json"), "{}");
    Files.writeString(temp.resolve("pytorch_model-00001-of-00002.bin"), "PK");
    assertRefused(
        temp,
        ErrorCode.CHECKPOINT_PICKLED,
        "FATHOM-1004 The checkpoint \""
            + temp
            + "\" cannot be opened: its weights are pickled PyTorch files, which can run code when"
            + " they are read: file=\"pytorch_model-00001-of-00002.bin\". Fix: convert them with"
            + " transformers: from_pretrained(...).save_pretrained(..., safe_serialization=True)");
  }

  @Test
  void ggufIsNamedAsFileAsFolderAndUnderAWrongName() throws IOException {
    Path gguf = temp.resolve("model-Q4_K_M.GGUF");
    Files.writeString(gguf, "GGUF....");
    String text =
        "FATHOM-1005 The checkpoint \""
            + gguf
            + "\" cannot be opened: its weights are in the GGUF format, which this library does not"
            + " read. Fix: download the safetensors files of the same model";
    assertRefused(gguf, ErrorCode.CHECKPOINT_GGUF, text);
    assertRefused(temp, ErrorCode.CHECKPOINT_GGUF, text);

    Files.writeString(temp.resolve("config.json"), "{}");
    Path disguised = temp.resolve("model.safetensors");
    Files.writeString(disguised, "GGUF....");
    assertRefused(
        temp, ErrorCode.CHECKPOINT_GGUF, text.replace(gguf.toString(), disguised.toString()));
  }

  @Test
  void aGitLfsPointerIsNamedForWeightsIndexAndTokenizer() throws IOException {
    writeModel();
    assertThat(POINTER).hasSize(133);
    Path weights = temp.resolve("model.safetensors");
    Files.writeString(weights, POINTER);
    String text =
        "FATHOM-1006 The file \""
            + weights
            + "\" is a Git LFS pointer: the repository was cloned without its large files. Fix: run"
            + " \"git lfs install\" and then \"git lfs pull\" in the folder of the model";
    assertRefused(temp, ErrorCode.CHECKPOINT_LFS_POINTER, text);

    Files.delete(weights);
    Path index = temp.resolve("model.safetensors.index.json");
    Files.writeString(index, POINTER);
    assertRefused(
        temp, ErrorCode.CHECKPOINT_LFS_POINTER, text.replace(weights.toString(), index.toString()));

    writeModel();
    Path tokenizer = temp.resolve("tokenizer.json");
    Files.writeString(tokenizer, POINTER);
    Checkpoint checkpoint = Checkpoint.open(temp);
    assertThat(
            catchThrowableOfType(
                CheckpointException.class, () -> checkpoint.file("tokenizer.json", 1000)))
        .hasMessage(text.replace(weights.toString(), tokenizer.toString()));
  }

  @Test
  void aMissingConfigIsSaid() throws IOException {
    writeModel();
    Files.delete(temp.resolve("config.json"));
    assertRefused(
        temp,
        ErrorCode.CONFIG_NOT_FOUND,
        "FATHOM-1009 The checkpoint \""
            + temp
            + "\" cannot be opened: the folder has no config.json. Fix: download config.json of the"
            + " model into it");
  }

  @Test
  void shardsWithoutAnIndexAreSaid() throws IOException {
    writeModel();
    Files.move(temp.resolve("model.safetensors"), temp.resolve("model-00001-of-00002.safetensors"));
    assertRefused(
        temp,
        ErrorCode.INDEX_NOT_FOUND,
        "FATHOM-1010 The checkpoint \""
            + temp
            + "\" cannot be opened: it has shards, but no model.safetensors.index.json:"
            + " first=\"model-00001-of-00002.safetensors\". Fix: download the index into the folder;"
            + " a single file must be called model.safetensors");
  }

  @Test
  void aFileAboveItsLimitIsNotRead() throws IOException {
    writeModel();
    Files.writeString(temp.resolve("tokenizer.json"), "x".repeat(101));
    Checkpoint checkpoint = Checkpoint.open(temp);

    assertThat(
            catchThrowableOfType(
                CheckpointException.class, () -> checkpoint.file("tokenizer.json", 100)))
        .hasMessage(
            "FATHOM-1011 The file \""
                + temp.resolve("tokenizer.json")
                + "\" is not read: it must have at most 100 bytes: bytes=101. Fix: put the file of"
                + " the published model there");
    assertThat(checkpoint.file("tokenizer.json", 101)).hasSize(101);
    assertThat(checkpoint.file("missing.json", 101)).isNull();
  }

  @Test
  void aLinkOutOfTheFolderIsNotFollowed() throws IOException {
    Path folder = Files.createDirectory(temp.resolve("model"));
    Path secret = Files.writeString(temp.resolve("secret"), "{}");
    Files.createSymbolicLink(folder.resolve("config.json"), secret);
    Files.createFile(folder.resolve("model.safetensors"));

    assertRefused(
        folder,
        ErrorCode.CHECKPOINT_LINK_OUTSIDE,
        "FATHOM-1012 The file \""
            + folder.resolve("config.json")
            + "\" is not read: a symbolic link must not lead out of the folder: target=\""
            + secret.toRealPath()
            + "\". Fix: put the file itself into the folder");
  }

  @Test
  void linksInsideTheFolderAndInTheHubCacheAreFollowed() throws IOException {
    Path hub = Files.createDirectories(temp.resolve("models--x--y"));
    Path blobs = Files.createDirectory(hub.resolve("blobs"));
    Path snapshot = Files.createDirectories(hub.resolve("snapshots/0123abc"));
    Files.write(blobs.resolve("aa"), model());
    Files.writeString(blobs.resolve("bb"), "{}");
    Files.createSymbolicLink(snapshot.resolve("model.safetensors"), Path.of("../../blobs/aa"));
    Files.createSymbolicLink(snapshot.resolve("config.json"), Path.of("../../blobs/bb"));
    Files.createSymbolicLink(snapshot.resolve("tokenizer.json"), Path.of("config.json"));

    assertThat(Checkpoint.open(snapshot).tensors()).hasSize(1);
    assertThat(Checkpoint.open(snapshot).file("tokenizer.json", 10)).hasSize(2);
    Path link = Files.createSymbolicLink(temp.resolve("link"), snapshot);
    assertThat(Checkpoint.open(link).tensors()).hasSize(1);
  }

  @Test
  void aLinkToNothingIsSaid() throws IOException {
    writeModel();
    Files.delete(temp.resolve("model.safetensors"));
    Files.createSymbolicLink(temp.resolve("model.safetensors"), temp.resolve("gone"));
    assertRefused(
        temp,
        ErrorCode.CHECKPOINT_NOT_FOUND,
        "FATHOM-1000 \""
            + temp.resolve("model.safetensors")
            + "\" cannot be read: there is no such file. Fix: check the path, and that the model was"
            + " downloaded completely");
  }

  @Test
  void aFolderUnderTheNameOfAFileIsSaid() throws IOException {
    writeModel();
    Files.delete(temp.resolve("config.json"));
    Files.createDirectory(temp.resolve("config.json"));
    assertRefused(
        temp,
        ErrorCode.CHECKPOINT_IO,
        "FATHOM-1008 The file \""
            + temp.resolve("config.json")
            + "\" cannot be read: it is not a regular file. Fix: put the file itself there");
  }

  @Test
  void aMissingPermissionIsSaid() throws IOException {
    String text =
        "FATHOM-1007 \""
            + temp
            + "\" cannot be read: this process has no permission to read it. Fix: give its user read"
            + " permission on the folder and its files, for example with \"chmod -R u+rX\"";
    assertThat(CheckpointFiles.failure(temp, new AccessDeniedException("x"))).hasMessage(text);

    writeModel();
    Files.setPosixFilePermissions(temp, PosixFilePermissions.fromString("-wx------"));
    try {
      Assumptions.assumeFalse(Files.isReadable(temp), "root reads everything");
      assertRefused(temp, ErrorCode.CHECKPOINT_ACCESS_DENIED, text);
    } finally {
      Files.setPosixFilePermissions(temp, PosixFilePermissions.fromString("rwx------"));
    }
  }

  @Test
  void aDiskErrorIsPassedOnQuoted() {
    assertThat(CheckpointFiles.failure(Path.of("x"), new IOException("Input/output\nerror")))
        .hasMessage(
            "FATHOM-1008 \"x\" cannot be read: the operating system reports \"java.io.IOException:"
                + " Input/output\\nerror\". Fix: check the disk or network share and load the model"
                + " again");
  }

  @Test
  void aConfigThatIsNoJsonObjectIsSaid() throws IOException {
    writeModel();
    Files.writeString(temp.resolve("config.json"), "{,}");
    ModelConfigException e =
        catchThrowableOfType(ModelConfigException.class, () -> Checkpoint.open(temp));
    assertThat(e)
        .hasMessage(
            "FATHOM-2010 The file \""
                + temp.resolve("config.json")
                + "\" is not a configuration: a name must be a string in double quotes: offset=1."
                + " Fix: put the file of the published model there");
  }

  @Test
  void aSingleFileIsReadWithItsSideFiles() throws IOException {
    writeModel();
    Files.writeString(temp.resolve("config.json"), "{\"auto_map\":{\"AutoModel\":\"evil.Model\"}}");
    Files.writeString(temp.resolve("generation_config.json"), "{\"eos_token_id\":[1,5]}");
    Files.writeString(temp.resolve("tokenizer_config.json"), "{\"chat_template\":\"old\"}");
    Files.writeString(temp.resolve("chat_template.jinja"), "new");
    Files.writeString(temp.resolve("consolidated.safetensors"), "ignored");

    Checkpoint checkpoint = Checkpoint.open(temp);

    assertThat(checkpoint.folder()).isEqualTo(temp);
    assertThat(checkpoint.generationDefaults().eosIds()).isEqualTo(List.of(1, 5));
    assertThat(checkpoint.tokenizerConfig().chatTemplate()).isEqualTo("new");
    assertThat(checkpoint.find("w")).isNotNull();
    assertThat(checkpoint.find("v")).isNull();
    assertThat(catchThrowableOfType(ModelConfigException.class, () -> checkpoint.tensor("v\n")))
        .hasMessage(
            "FATHOM-2001 The checkpoint \""
                + temp
                + "\" does not fit its config.json: it must have the tensor \"v\\n\". Fix: use"
                + " config.json and weights of the same revision of the model");
  }

  @Test
  void withoutSideFilesThereAreNoDefaults() throws IOException {
    writeModel();
    Checkpoint checkpoint = Checkpoint.open(temp);
    assertThat(checkpoint.generationDefaults()).isEqualTo(GenerationDefaults.NONE);
    assertThat(checkpoint.tokenizerConfig()).isEqualTo(TokenizerConfig.NONE);
    assertThat(checkpoint.hasChecksums()).isFalse();
  }

  private void writeModel() throws IOException {
    Files.writeString(temp.resolve("config.json"), "{}");
    Files.write(temp.resolve("model.safetensors"), model());
  }

  private static byte[] model() {
    return SafetensorsBytes.file(
        ("{" + SafetensorsBytes.tensor("w", "F32", "[2]", "[0,8]") + "}").getBytes(UTF_8), 8);
  }

  private static void assertRefused(Path path, ErrorCode code, String message) {
    CheckpointException e =
        catchThrowableOfType(CheckpointException.class, () -> Checkpoint.open(path));
    assertThat(e).isNotNull();
    assertThat(e.code()).isEqualTo(code);
    assertThat(e).hasMessage(message);
  }
}
