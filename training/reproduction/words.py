"""Words of the page in English and Portuguese: its sentences, figures, and what the studies' tables say."""

from dataclasses import dataclass

from training.experiments.study import Cell, shown
from training.reproduction.course import Text
from training.reproduction.rows import number

INTRO = Text(
    """The exercises of five course documents on deep learning that train or compute something, run again. Four
documents belong to the course *Redes Neurais e Arquiteturas Profundas* of the MBA em Ciência de Dados (Moacir Antonelli
Ponti, CeMEAI, ICMC/USP São Carlos); the fifth is by Linked Education (2020).

The printed figures come from TensorFlow 2.3 and 2.4 on other machines. Ours stand beside them and are not tuned to
equal them. Layer sizes and numbers of parameters are asserted before every training.

Each run gives its date, its time of fitting on two CPU cores and, where it was recorded, the commit of its code. The
code may have changed since: `vitrine reproduce` runs again what is out of date, and writes this page and
[results.json](results.json). Plots show the validation curve, dashed, where the job has a validation part.""",
    """Os exercícios de cinco documentos de curso sobre aprendizagem profunda que treinam ou calculam algo, executados
de novo. Quatro documentos pertencem ao curso *Redes Neurais e Arquiteturas Profundas* do MBA em Ciência de Dados
(Moacir Antonelli Ponti, CeMEAI, ICMC/USP São Carlos); o quinto é da Linked Education (2020).

Os valores impressos provêm do TensorFlow 2.3 e 2.4 noutras máquinas. Os nossos estão ao lado deles e não foram
ajustados para coincidir. Os tamanhos das camadas e os números de parâmetros são verificados antes de cada treino.

Cada execução indica a data, o tempo de treino em dois núcleos de CPU e, quando ficou registado, o commit do código. O
código pode ter mudado desde então: `vitrine reproduce` volta a executar o que está desatualizado e escreve esta página
e o ficheiro [results.json](results.json). Os gráficos mostram a curva de validação, a tracejado, quando há dados de
validação; as legendas estão em inglês: *training* é treino, *validation* validação, *loss* perda, *accuracy* exatidão,
*epoch* época, *truth* valor real, *answer* resposta, *forecast* e *prediction* previsão.""",
)

WORDS = {
    word.en: word
    for word in (
        Text("Reproduction of the courses", "Reprodução dos cursos"),
        Text("Overview", "Resumo"),
        Text("exercise", "exercício"),
        Text("Questions and answers", "Perguntas e respostas"),
        Text("Answer", "Resposta"),
        Text("See", "Ver"),
        Text("figure", "valor"),
        Text("printed", "impresso"),
        Text("ours", "nosso"),
        Text("difference", "diferença"),
        Text("Asserted:", "Verificado:"),
        Text("Document", "Documento"),
        Text("on the model cards", "nas fichas dos modelos"),
        Text(
            "{full} of {all} jobs and studies ran in full and without stand-in data.",
            "{full} de {all} trabalhos e estudos foram executados por completo e sem dados substitutos.",
        ),
        Text("run of {date}", "execução de {date}"),
        Text("not run", "não executado"),
        Text("failed", "falhou"),
        Text(
            "Quick run with a shortened recipe: its figures mean little.",
            "Execução rápida com uma receita abreviada: os valores pouco significam.",
        ),
        Text(
            "Stand-in data: the figures say nothing about the real task.",
            "Dados substitutos: os valores nada dizem sobre a tarefa real.",
        ),
        # Plots
        Text("history", "curvas de treino"),
        Text("confusion", "matriz de confusão"),
        Text("pictures", "as dez primeiras imagens de treino com as suas classes"),
        Text("prediction", "previsão e valor real"),
        Text("forecast", "previsão e valor real"),
        Text("plot", "gráfico"),
        # Figures of jobs
        Text("accuracy", "exatidão no treino, última época"),
        Text("loss", "perda no treino, última época"),
        Text("train_accuracy", "exatidão no conjunto de treino"),
        Text("train_loss", "perda no conjunto de treino"),
        Text("test_accuracy", "exatidão no teste"),
        Text("test_loss", "perda no teste"),
        Text("val_loss", "perda na validação, última época"),
        Text("mae", "erro absoluto médio no treino"),
        Text("val_mae", "erro absoluto médio na validação"),
        Text("test_mae", "erro absoluto médio no teste"),
        Text("test_mse", "erro quadrático médio no teste"),
        Text("printed_predictions_met", "previsões iguais às cinco impressas"),
        Text("recall_at_1", "recall no primeiro vizinho"),
        Text("others_accuracy", "exatidão em desenhos de outras pessoas"),
        Text("nearest_of_same_kind", "imagem mais próxima do mesmo tipo"),
        Text("skill", "ganho face à previsão ingénua"),
        Text("by_hand_difference", "diferença para o cálculo à mão"),
        Text("roundings", "diferença, em arredondamentos float32 por mês"),
        Text("contrastive_before", "perda contrastiva, antes do treino"),
        Text("contrastive", "perda contrastiva, depois do treino"),
        Text("triplet_before", "perda tripla, antes do treino"),
        Text("triplet", "perda tripla, depois do treino"),
        # Figures and tables of studies
        *(Text(f"test MSE, batch {2**power}", f"EQM no teste, lote {2**power}") for power in range(1, 9)),
        Text("squared", "quadrática"),
        Text("cross-entropy", "entropia cruzada"),
        Text("0-1", "0-1"),
        Text("hinge", "hinge"),
        Text("uniform guess, cross-entropy", "palpite uniforme, entropia cruzada"),
        Text("uniform guess, squared", "palpite uniforme, quadrática"),
        Text("learning rate", "taxa de aprendizagem"),
        Text("at the end", "no fim"),
        Text("training MSE", "EQM no treino"),
        Text("test MSE", "EQM no teste"),
        Text("± over seeds", "± entre sementes"),
        Text("0.001, Adam's default", "0,001, predefinição do Adam"),
        Text("0.02", "0,02"),
        Text("0.02, ×exp(−0.05) from 10", "0,02, ×exp(−0,05) a partir de 10"),
        Text("0.02, ×exp(−0.1) from 6", "0,02, ×exp(−0,1) a partir de 6"),
        Text("0.02, cosine to 0", "0,02, cosseno até 0"),
        Text("0.02, halved every 10", "0,02, metade a cada 10"),
        Text("remedy", "remédio"),
        Text("training accuracy", "exatidão no treino"),
        Text("test accuracy", "exatidão no teste"),
        Text("gap", "diferença"),
        Text("weights below 0.001", "pesos abaixo de 0,001"),
        Text("dropout 0.2 on the input", "dropout 0,2 no input"),
        Text("epochs", "épocas"),
        Text("trial", "tentativa"),
        Text("optimiser", "otimizador"),
        Text("momentum", "momentum"),
        Text("batch size", "tamanho do lote"),
        Text("MSE", "EQM"),
        *(Text(f"coarse, {rank}", f"grosseira, {rank}") for rank in (1, 2, 3)),
        *(Text(f"fine, {rank}", f"fina, {rank}") for rank in (1, 2, 3)),
        Text("adam", "adam"),
        Text("sgd", "sgd"),
        Text("rmsprop", "rmsprop"),
        Text("the winner on the test part", "a vencedora, no teste"),
        Text("Adam's defaults on the test part", "predefinições do Adam, no teste"),
        Text("Xtn[0] = O", "Xtn[0] = O"),
        Text("Xtn[12] = X", "Xtn[12] = X"),
        Text("none", "nenhum"),
        Text("dropout 0.4", "dropout 0,4"),
        Text("L1 1e-4", "L1 1e-4"),
        Text("L2 1e-3", "L2 1e-3"),
        Text("batch normalisation", "normalização por lotes"),
        Text("dropout and L2", "dropout e L2"),
        Text("dropout and batch norm.", "dropout e norm. por lotes"),
        Text("nets", "redes"),
        Text("the newest alone", "só a mais recente"),
        Text("the bag", "o conjunto"),
        Text("mean", "média"),
        Text("one net on all pictures", "uma rede com todas as imagens"),
        Text("pictures a class", "imagens por classe"),
        Text("transfer", "transferência"),
        Text("± over draws", "± entre sorteios"),
        Text("from scratch", "de raiz"),
    )
}

#: English names of figures where the metric's own name says too little.
NAMES = {
    "accuracy": "training accuracy, last epoch",
    "loss": "training loss, last epoch",
    "train_accuracy": "accuracy on the training set",
    "train_loss": "loss on the training set",
    "val_loss": "validation loss, last epoch",
    "mae": "training mean absolute error",
    "val_mae": "validation mean absolute error",
    "test_mae": "test mean absolute error",
    "test_mse": "test mean squared error",
    "printed_predictions_met": "answers equal to the five printed",
    "recall_at_1": "recall at the first neighbour",
    "others_accuracy": "accuracy on drawings by other people",
    "nearest_of_same_kind": "nearest picture is of the same kind",
    "skill": "skill against the naive forecast",
    "by_hand_difference": "difference from the answer by hand",
    "roundings": "difference, in float32 roundings a month",
    "contrastive_before": "contrastive loss, before training",
    "contrastive": "contrastive loss, after training",
    "triplet_before": "triplet loss, before training",
    "triplet": "triplet loss, after training",
    "history": "training curves",
    "confusion": "confusion matrix",
    "pictures": "the first ten training pictures with their classes",
    "prediction": "prediction and truth",
    "forecast": "forecast and truth",
}


@dataclass(frozen=True)
class Language:
    """One language of the page; ``code`` is the field's name in :class:`Text`."""

    code: str

    def __call__(self, text: Text | str) -> str:
        """Return the text in this language; a word that WORDS lacks stays as it is."""
        if isinstance(text, str):
            name = NAMES.get(text, text.replace("_", " "))
            text = Text(name, WORDS[text].pt if text in WORDS else name)
        return str(getattr(text, self.code))

    def number(self, value: float | None, *, signed: bool = False) -> str:
        """Format a value; Portuguese has a decimal comma."""
        return self._decimal(number(value, signed=signed))

    def cell(self, value: Cell) -> str:
        """Format a cell of a study's table."""
        return self(value) if isinstance(value, str) else self._decimal(shown(value))

    def _decimal(self, text: str) -> str:
        return text.replace(".", ",") if self.code == "pt" else text


ENGLISH, PORTUGUESE = Language("en"), Language("pt")
